#!/bin/sh
# Makes what docker-compose.hardened.yml calls secrets: an authority of its own, certificates, a password for each user.
#
#   deploy/compose/secrets.sh [FOLDER]      deploy/compose/secrets, which git does not see
#
# What is there is kept: run again after deleting what is to be made anew. The folder is its owner's only; the files are
# readable, because the containers that get them run as users of their own.
set -eu
folder="${1:-$(dirname "$0")/secrets}"
days=825
umask 077
mkdir -p "$folder"
cd "$folder"

# An authority whose key stays here: no container gets it.
if [ ! -f ca.crt ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj "/CN=journey authority" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout ca.key -out ca.crt 2>/dev/null
fi

# NAME NAMES-IN-THE-CERTIFICATE: NAME.pem has key, certificate and authority, as Kafka and nginx read them.
certificate() {
  [ -f "$1.pem" ] && return
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$2" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days $days -extfile "$1.ext" \
    -out "$1.crt" 2>/dev/null
  cat "$1.key" "$1.crt" ca.crt > "$1.pem"
  rm "$1.key" "$1.csr" "$1.ext" "$1.crt"
}
certificate kafka DNS:kafka,DNS:localhost,IP:127.0.0.1
certificate registry DNS:registry-door,DNS:localhost,IP:127.0.0.1

for user in broker admin registry health operator worker learner producer consumer; do
  # Without an end of line: it would be part of the password where Kafka reads it.
  [ -f "$user.password" ] || printf %s "$(openssl rand -hex 24)" > "$user.password"
done

# Who may come to the registry, by the same passwords.
rm -f registry.users registry.properties
for user in operator worker learner producer consumer; do
  printf '%s:%s\n' "$user" "$(openssl passwd -6 -in "$user.password")" >> registry.users
done

# How the registry itself comes to Kafka: Apicurio reads this file as it reads its environment.
cat > registry.properties <<END
registry.kafka.common.sasl.mechanism=SCRAM-SHA-512
registry.kafka.common.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="registry" password="$(cat registry.password)";
registry.kafka.common.ssl.truststore.type=PEM
registry.kafka.common.ssl.truststore.location=/run/secrets/ca.crt
END

[ -f learner.key ] || printf %s "$(openssl rand -hex 32)" > learner.key
chmod 0444 -- *.crt *.pem *.password registry.users registry.properties learner.key
echo "$folder: authority, certificates of kafka and registry ($days days), passwords of 9 users, the learner's key"
