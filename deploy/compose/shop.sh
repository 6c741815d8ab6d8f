#!/bin/bash
# A small shop that never closes: about ten records a second. One order in fifty is broken and becomes a dead letter.
#
#   shop.sh            produces to kafka:9092
#   shop.sh --print    prints "topic<TAB>key<TAB>value" lines instead
set -euo pipefail
declare -A out

if [[ ${1:-} != --print ]]; then
    for topic in orders.v1 comments.v1 payments.v1; do
        exec {descriptor}> >(/opt/kafka/bin/kafka-console-producer.sh --bootstrap-server kafka:9092 \
            --topic "$topic" --property parse.key=true)
        out[$topic]=$descriptor
    done
fi

send() { # send TOPIC KEY VALUE
    if [[ -v out[$1] ]]; then
        printf '%s\t%s\n' "$2" "$3" >&"${out[$1]}"
    else
        printf '%s\t%s\t%s\n' "$1" "$2" "$3"
    fi
}

n=0
while true; do
    n=$((n + 1))
    customer=u$((n % 97))
    cents=$((n % 90 * 100 + 500))
    person='{"id":"'$customer'","first_name":"Ada","last_name":"L."}'
    ((n % 50)) || person=null
    send orders.v1 "$customer" '{"type":"order.placed","id":"o'$n'","total":'$cents',"customer":'"$person"',"items":[{"sku":"s1","qty":1}],"method":"card"}'
    send comments.v1 p$((n % 12)) '{"type":"comment.created","id":"c'$n'","text":"Nice!","product_id":"p1","author":{"id":"'$customer'","name":"Ada"},"mentions":[{"user_id":"u'$((n % 89))'"}]}'
    send payments.v1 "$customer" '{"id":"pay'$n'","status":"succeeded","customer":"'$customer'","amount":'$cents'}'
    sleep "${PAUSE:-0.3}"
done
