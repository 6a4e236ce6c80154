// bench_relay is both ends of the relay's benchmark:
//
//	serve PORT                                     plain HTTP: /small, /big (256 MiB), /events?n=N
//	MODE PORT IDENTITY.pem NUMBER                  mutual TLS when IDENTITY.pem is not "-"
//
// Modes open their connections, print an empty line, wait for one, and print one JSON object: ttfb (NUMBER requests on one connection), requests (1 and 32 connections
// for NUMBER milliseconds), connections (16 at a time, for NUMBER milliseconds), bulk (NUMBER times /big),
// events (NUMBER streams of 100 events), idle (NUMBER connections, until the line comes).
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const bigBytes = 256 << 20

var target struct {
	address string
	config  *tls.Config
}

func main() {
	if os.Args[1] == "serve" {
		serve(os.Args[2])
	}
	target.address = "127.0.0.1:" + os.Args[2]
	if os.Args[3] != "-" {
		target.config = settings(os.Args[3])
	}
	number := atoi(os.Args[4])
	modes := map[string]func(int) map[string]float64{
		"ttfb": ttfb, "requests1": func(ms int) map[string]float64 { return requests(ms, 1) },
		"requests32":  func(ms int) map[string]float64 { return requests(ms, 32) },
		"connections": connections, "bulk": bulk, "events": events, "idle": idle,
	}
	answer, err := json.Marshal(modes[os.Args[1]](number))
	check(err)
	fmt.Println(string(answer))
}

func serve(port string) {
	small := []byte(strings.Repeat("x", 200))
	block := make([]byte, 1<<20)
	http.HandleFunc("/small", func(w http.ResponseWriter, _ *http.Request) { w.Write(small) })
	http.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(bigBytes))
		for range bigBytes >> 20 {
			w.Write(block)
		}
	})
	http.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 100 {
			time.Sleep(20 * time.Millisecond)
			fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\" token\"}}]}\n\n")
			w.(http.Flusher).Flush()
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}

type client struct {
	net.Conn
	reader *bufio.Reader
}

func dial() (*client, error) {
	plain, err := net.Dial("tcp", target.address)
	if err != nil || target.config == nil {
		return &client{plain, bufio.NewReaderSize(plain, 1<<18)}, err
	}
	secured := tls.Client(plain, target.config)
	if err := secured.Handshake(); err != nil {
		plain.Close()
		return nil, err
	}
	return &client{secured, bufio.NewReaderSize(secured, 1<<18)}, nil
}

func mustDial() *client {
	c, err := dial()
	check(err)
	return c
}

// get returns the time to the first byte, after the whole answer has been read.
func (c *client) get(path string) (time.Duration, error) {
	began := time.Now()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0, err
	}
	if _, err := c.reader.Peek(1); err != nil {
		return 0, err
	}
	first := time.Since(began)
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return first, err
}

// ready tells that the connections are open, and waits for the word to begin.
func ready() {
	fmt.Println()
	bufio.NewReader(os.Stdin).ReadString('\n')
}

func open(count int) []*client {
	opened := make([]*client, count)
	for i := range opened {
		opened[i] = mustDial()
	}
	ready()
	return opened
}

func ttfb(count int) map[string]float64 {
	c := open(1)[0]
	var all []float64
	for range count {
		first, err := c.get("/small")
		check(err)
		all = append(all, float64(first.Nanoseconds())/1e3)
	}
	return percentiles(all[count/10:])
}

func requests(ms, connections int) map[string]float64 {
	opened := open(connections)
	end := time.Now().Add(time.Duration(ms) * time.Millisecond)
	var count atomic.Int64
	each(connections, func(i int) {
		for time.Now().Before(end) {
			_, err := opened[i].get("/small")
			check(err)
			count.Add(1)
		}
	})
	return map[string]float64{"count": float64(count.Load())}
}

func connections(ms int) map[string]float64 {
	ready()
	end := time.Now().Add(time.Duration(ms) * time.Millisecond)
	var count atomic.Int64
	each(16, func(int) {
		for time.Now().Before(end) {
			c := mustDial()
			_, err := c.get("/small")
			check(err)
			c.Close()
			count.Add(1)
		}
	})
	return map[string]float64{"count": float64(count.Load())}
}

func bulk(times int) map[string]float64 {
	c := open(1)[0]
	for range times {
		_, err := c.get("/big")
		check(err)
	}
	return map[string]float64{"count": float64(times) * bigBytes / 1e9}
}

func events(streams int) map[string]float64 {
	opened := open(streams)
	each(streams, func(i int) {
		_, err := opened[i].get("/events")
		check(err)
	})
	return map[string]float64{"count": float64(streams) * 100}
}

func idle(count int) map[string]float64 {
	return map[string]float64{"count": float64(len(open(count)))}
}

func each(count int, do func(int)) {
	var group sync.WaitGroup
	for i := range count {
		group.Add(1)
		go func() { defer group.Done(); do(i) }()
	}
	group.Wait()
}

func percentiles(all []float64) map[string]float64 {
	slices.Sort(all)
	return map[string]float64{"p50": all[len(all)/2], "p99": all[len(all)*99/100]}
}

// settings checks nothing: each proxy presents the same certificate.
func settings(identity string) *tls.Config {
	pair, err := tls.LoadX509KeyPair(identity, identity)
	check(err)
	return &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true}
}

func atoi(text string) int {
	number, err := strconv.Atoi(text)
	check(err)
	return number
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
