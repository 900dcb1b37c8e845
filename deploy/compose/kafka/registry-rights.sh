#!/bin/sh
# What the registry needs: its own topic, and consumer groups of its own name. The roles of the engine are in topics.yaml.
set -eu
exec "${KAFKA_HOME:-/opt/kafka}/bin/kafka-acls.sh" --bootstrap-server kafka:19092 \
  --command-config /etc/kafka/hardened/admin.properties \
  --add --allow-principal User:registry --operation All \
  --resource-pattern-type prefixed --topic kafkasql-journal --group apicurio-registry
