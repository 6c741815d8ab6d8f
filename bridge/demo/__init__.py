"""`suprsend-bridge demo`: Kafka, SuprSend and the bridge on one machine, with nothing to install or sign up for."""
