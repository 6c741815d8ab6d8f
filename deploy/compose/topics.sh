#!/bin/bash
# Creates the topics; a topic that exists stays as it is.
set -euo pipefail
for topic in orders.v1 comments.v1 payments.v1 suprsend-bridge.dead-letters; do
    /opt/kafka/bin/kafka-topics.sh --bootstrap-server kafka:9092 --create --if-not-exists --topic "$topic" --partitions 4
done
