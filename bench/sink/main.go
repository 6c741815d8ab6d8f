// A stand-in for SuprSend's bulk endpoint that costs little and answers truthfully: 207 with one accepted record for
// each event of the body, 401 without an Authorization header. It prints the address it listens on.
//
//	go build -o sink . && ./sink -delay 150ms
//
// GET /stats tells what came so far; POST /reset begins to count anew.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const slowest = 60_000

// counts is all that is known of the calls so far. Times are milliseconds since 1970, ages milliseconds.
type counts struct {
	mutex    sync.Mutex
	calls    int
	events   int
	bytes    int
	inFlight int
	most     int
	first    int64
	last     int64
	ages     [slowest + 1]int // by age in milliseconds: from an event's "$time" to its answer
}

var (
	seen     counts
	record   = []byte(`{"status":"success","status_code":202,"message_id":"01234567-89ab-4cde-8f01-23456789abcd"}`)
	timeKey  = []byte(`"$time":`)
	prepared sync.Map
	buffers  = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

func answer(events int) []byte {
	if found, ok := prepared.Load(events); ok {
		return found.([]byte)
	}
	var body bytes.Buffer
	body.WriteString(`{"status":"success","records":[`)
	for n := 0; n < events; n++ {
		if n > 0 {
			body.WriteByte(',')
		}
		body.Write(record)
	}
	body.WriteString(`]}`)
	prepared.Store(events, body.Bytes())
	return body.Bytes()
}

func (c *counts) begin(now int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.first == 0 {
		c.first = now
	}
	c.inFlight++
	c.most = max(c.most, c.inFlight)
}

func (c *counts) end(body []byte, events int, withAges bool) {
	now := time.Now().UnixMilli()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.inFlight--
	c.calls++
	c.events += events
	c.bytes += len(body)
	c.last = now
	if withAges {
		c.age(body, now)
	}
}

func (c *counts) age(body []byte, now int64) {
	for {
		at := bytes.Index(body, timeKey)
		if at < 0 {
			return
		}
		body = body[at+len(timeKey):]
		var made int64
		for _, digit := range body {
			if digit < '0' || digit > '9' {
				break
			}
			made = made*10 + int64(digit-'0')
		}
		c.ages[min(max(now-made, 0), slowest)]++
	}
}

func (c *counts) percentile(share float64) int {
	total := 0
	for _, n := range c.ages {
		total += n
	}
	wanted, sum := int(share*float64(total)+0.999999), 0
	for age, n := range c.ages {
		sum += n
		if n > 0 && sum >= wanted {
			return age
		}
	}
	return -1
}

func (c *counts) stats() map[string]any {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return map[string]any{
		"calls": c.calls, "events": c.events, "bytes": c.bytes, "most_in_flight": c.most,
		"first_ms": c.first, "last_ms": c.last,
		"p50_ms": c.percentile(0.50), "p99_ms": c.percentile(0.99), "longest_ms": c.percentile(1),
	}
}

func (c *counts) reset() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.calls, c.events, c.bytes, c.most, c.first, c.last = 0, 0, 0, 0, 0, 0
	c.ages = [slowest + 1]int{}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	delay := flag.Duration("delay", 0, "wait before each answer")
	count := flag.String("count", `"$insert_id":`, "what each event has once: the events of a body are counted by it")
	ages := flag.Bool("ages", false, "measure each event's age")
	flag.Parse()
	needle := []byte(*count)
	http.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(seen.stats())
	})
	http.HandleFunc("/reset", func(http.ResponseWriter, *http.Request) { seen.reset() })
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			http.Error(w, `{"status":"error","error":{"message":"no authorization"}}`, http.StatusUnauthorized)
			return
		}
		seen.begin(time.Now().UnixMilli())
		buffer := buffers.Get().(*bytes.Buffer)
		buffer.Reset()
		defer buffers.Put(buffer)
		_, err := io.Copy(buffer, r.Body)
		events := bytes.Count(buffer.Bytes(), needle)
		time.Sleep(*delay)
		seen.end(buffer.Bytes(), events, *ages)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusMultiStatus)
		_, _ = w.Write(answer(events))
	})
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	fmt.Fprintln(os.Stderr, http.Serve(listener, nil))
}
