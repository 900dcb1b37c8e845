#!/bin/sh
# Formats the broker's folder with its users the first time, and starts it. Kafka's own scripts do both. A broker that
# knows its peers by passwords must have the first of them before it starts: hence at format time.
set -eu
bin="${KAFKA_HOME:-/opt/kafka}/bin"
config=/etc/kafka/hardened/server.properties
if [ ! -f /var/lib/kafka/data/meta.properties ]; then
  set --
  for user in broker admin registry health operator worker learner producer consumer; do
    set -- "$@" --add-scram "SCRAM-SHA-512=[name=$user,password=$(cat "/run/secrets/$user.password")]"
  done
  "$bin/kafka-storage.sh" format --cluster-id "$CLUSTER_ID" --config "$config" "$@"
fi
exec "$bin/kafka-server-start.sh" "$config"
