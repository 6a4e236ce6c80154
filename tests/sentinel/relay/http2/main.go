// Command http2 talks HTTP/2 with itself through a relay: main UPSTREAM RELAY CLIENT.pem CA.pem REQUESTS BYTES.
// It serves cleartext HTTP/2 on UPSTREAM, and posts bodies to RELAY over one TLS connection.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

func main() {
	requests, size := number(os.Args[5]), number(os.Args[6])
	var connections sync.Map
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections.Store(r.RemoteAddr, true)
		if r.ProtoMajor != 2 {
			http.Error(w, r.Proto, http.StatusHTTPVersionNotSupported)
			return
		}
		io.Copy(w, r.Body)
	})
	server := &http.Server{Addr: os.Args[1], Handler: echo, Protocols: &http.Protocols{}}
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() { log.Fatal(server.ListenAndServe()) }()

	transport := &http.Transport{TLSClientConfig: settings(os.Args[3], os.Args[4]), Protocols: &http.Protocols{}}
	transport.Protocols.SetHTTP2(true)
	client := &http.Client{Transport: transport}
	var equal atomic.Int64
	var group sync.WaitGroup
	for range requests {
		group.Add(1)
		go func() {
			defer group.Done()
			if echoed(client, "https://"+os.Args[2]+"/", size) {
				equal.Add(1)
			}
		}()
	}
	group.Wait()
	count := 0
	connections.Range(func(any, any) bool { count++; return true })
	fmt.Printf("%d equal, %d connections\n", equal.Load(), count)
}

func echoed(client *http.Client, url string, size int) bool {
	body := make([]byte, size)
	rand.Read(body)
	response, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		log.Print(err)
		return false
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return err == nil && response.ProtoMajor == 2 && bytes.Equal(got, body)
}

func settings(identity, authority string) *tls.Config {
	pair, err := tls.LoadX509KeyPair(identity, identity)
	if err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(authority)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	// The certificate's URI name is checked elsewhere: here it is the bytes that matter.
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, RootCAs: roots,
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return n
}
