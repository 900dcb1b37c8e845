"""``journey demo``: a whole deployment on one machine, with customers that do not exist, in real time."""
