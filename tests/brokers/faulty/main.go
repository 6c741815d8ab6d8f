// A Kafka of the tests that can be wrong: brokers that nobody reaches, no cluster id, old versions, refusals, silence.
//
// It takes one plan as JSON in its first argument, prints one line of JSON when it listens, and reads lines: `heal` ends
// every fault of the plan. It ends with its standard input.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// noID is answered as null: kfake itself always has an id.
const noID = "no-cluster-id-here"

type fault struct {
	Requests []string `json:"requests"` // names as Kafka writes them: FindCoordinator, JoinGroup, …
	Group    string   `json:"group"`    // only those about this group
	Code     int16    `json:"code"`     // the answer; 0: there is none
}

type plan struct {
	Brokers    int               `json:"brokers"`
	Topics     map[string]int32  `json:"topics"`
	Groups     []string          `json:"groups"`  // whose coordinators are wanted
	Version    string            `json:"version"` // the newest Kafka whose requests are known: v2.8.0
	ClusterID  *string           `json:"cluster_id"`
	Dead       []int             `json:"dead"` // brokers whose address refuses connections
	MinSession int               `json:"min_session_ms"`
	MaxSession int               `json:"max_session_ms"`
	Configs    map[string]string `json:"configs"`
	Faults     []fault           `json:"faults"`
}

type told struct {
	Addresses    []string           `json:"addresses"`
	Coordinators map[string]int32   `json:"coordinators"`
	Leaders      map[string][]int32 `json:"leaders"`
}

var healed = make(chan struct{})

func main() {
	var chosen plan
	must(json.Unmarshal([]byte(os.Args[1]), &chosen))
	cluster, err := kfake.NewCluster(options(chosen)...)
	must(err)
	defer cluster.Close()
	var handles []*kfake.FaultHandle
	for _, each := range chosen.Faults {
		if each.Code != 0 {
			handles = append(handles, cluster.Fault(refusal(each)))
		} else {
			silence(cluster, each)
		}
	}
	must(json.NewEncoder(os.Stdout).Encode(found(cluster, chosen)))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "heal" {
			close(healed)
			for _, each := range handles {
				each.Remove()
			}
		}
	}
}

func options(chosen plan) []kfake.Opt {
	id := noID
	if chosen.ClusterID != nil {
		id = *chosen.ClusterID
	}
	var number atomic.Int32
	listen := func(network, address string) (net.Listener, error) {
		made, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		if slices.Contains(chosen.Dead, int(number.Add(1)-1)) {
			return deadListener(made)
		}
		return &listener{made}, nil
	}
	made := []kfake.Opt{kfake.NumBrokers(max(chosen.Brokers, 1)), kfake.ClusterID(id), kfake.ListenFn(listen)}
	for topic, partitions := range chosen.Topics {
		made = append(made, kfake.SeedTopics(partitions, topic))
	}
	if chosen.Version != "" {
		made = append(made, kfake.MaxVersions(kversion.FromString(chosen.Version)))
	}
	if chosen.MinSession > 0 {
		made = append(made, kfake.GroupMinSessionTimeout(time.Duration(chosen.MinSession)*time.Millisecond))
	}
	if chosen.MaxSession > 0 {
		made = append(made, kfake.GroupMaxSessionTimeout(time.Duration(chosen.MaxSession)*time.Millisecond))
	}
	if len(chosen.Configs) > 0 {
		made = append(made, kfake.BrokerConfigs(chosen.Configs))
	}
	return made
}

func found(cluster *kfake.Cluster, chosen plan) told {
	answer := told{cluster.ListenAddrs(), map[string]int32{}, map[string][]int32{}}
	for _, group := range chosen.Groups {
		answer.Coordinators[group] = cluster.CoordinatorFor(group)
	}
	for topic, partitions := range chosen.Topics {
		for number := range partitions {
			answer.Leaders[topic] = append(answer.Leaders[topic], cluster.LeaderFor(topic, number))
		}
	}
	return answer
}

func keys(names []string) []kmsg.Key {
	var found []kmsg.Key
	for _, name := range names {
		for key := int16(0); key < 128; key++ {
			if kmsg.NameForKey(key) == name {
				found = append(found, kmsg.Key(key))
			}
		}
	}
	if len(found) < len(names) {
		must(fmt.Errorf("of %v some are no requests", names))
	}
	return found
}

func refusal(each fault) kfake.Fault {
	return kfake.Fault{Keys: keys(each.Requests), Group: each.Group, Err: kerr.ErrorForCode(each.Code).(*kerr.Error), Count: -1}
}

// silence leaves requests without an answer until all is healed; then the client asks again over a new connection.
func silence(cluster *kfake.Cluster, each fault) {
	for _, key := range keys(each.Requests) {
		cluster.ControlKey(int16(key), func(request kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			select {
			case <-healed:
				return nil, nil, false
			default:
			}
			if each.Group != "" && !slices.Contains(groupsOf(request), each.Group) {
				return nil, nil, false
			}
			cluster.SleepControl(func() { <-healed })
			return nil, nil, false
		})
	}
}

func groupsOf(request kmsg.Request) []string {
	switch asked := request.(type) {
	case *kmsg.FindCoordinatorRequest:
		return append(asked.CoordinatorKeys, asked.CoordinatorKey)
	case *kmsg.OffsetFetchRequest:
		named := []string{asked.Group}
		for _, each := range asked.Groups {
			named = append(named, each.Group)
		}
		return named
	case *kmsg.OffsetCommitRequest:
		return []string{asked.Group}
	case *kmsg.JoinGroupRequest:
		return []string{asked.Group}
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return []string{asked.Group}
	}
	return nil
}

// A dead broker has an address, and nothing listens there until all is healed.
type dead struct {
	address net.Addr
	opened  net.Listener
	lock    sync.Mutex
	closed  chan struct{}
}

func deadListener(made net.Listener) (net.Listener, error) {
	return &dead{address: made.Addr(), closed: make(chan struct{})}, made.Close()
}

func (d *dead) Addr() net.Addr { return d.address }

func (d *dead) Accept() (net.Conn, error) {
	select {
	case <-healed:
	case <-d.closed:
		return nil, net.ErrClosed
	}
	d.lock.Lock()
	if d.opened == nil {
		made, err := net.Listen("tcp", d.address.String())
		must(err)
		d.opened = &listener{made}
	}
	d.lock.Unlock()
	return d.opened.Accept()
}

func (d *dead) Close() error {
	close(d.closed)
	return nil
}

type listener struct{ net.Listener }

func (l *listener) Accept() (net.Conn, error) {
	made, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: made}, nil
}

// conn makes the cluster's id null where it is `noID`.
type conn struct {
	net.Conn
	kept []byte
}

func (c *conn) Write(part []byte) (int, error) {
	c.kept = append(c.kept, part...)
	for len(c.kept) >= 4 {
		size := int(binary.BigEndian.Uint32(c.kept)) + 4
		if len(c.kept) < size {
			break
		}
		if _, err := c.Conn.Write(withoutID(c.kept[:size])); err != nil {
			return 0, err
		}
		c.kept = c.kept[size:]
	}
	return len(part), nil
}

func withoutID(frame []byte) []byte {
	compact := append([]byte{byte(len(noID) + 1)}, noID...)
	plain := append([]byte{0, byte(len(noID))}, noID...)
	made := bytes.Replace(frame, compact, []byte{0}, 1)
	if len(made) == len(frame) {
		made = bytes.Replace(frame, plain, []byte{0xff, 0xff}, 1)
	}
	binary.BigEndian.PutUint32(made, uint32(len(made)-4))
	return made
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
