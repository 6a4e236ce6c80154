// bench_sdl measures the reference library of SDL files, Akash's own:
//
//	bench_sdl compile|hash MILLISECONDS FILE
//
// compile makes groups, manifest and version of the text, hash the version of the manifest. It prints one
// JSON object: count (how often), cpu (seconds of CPU time), version (hex).
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"syscall"

	"pkg.akt.dev/go/sdl"
)

// The clock is read once for so many.
const batch = 8

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: bench_sdl compile|hash MILLISECONDS FILE")
	}
	ms, err := strconv.Atoi(os.Args[2])
	check(err)
	text, err := os.ReadFile(os.Args[3])
	check(err)
	work, known := map[string]func([]byte) func() []byte{"compile": compile, "hash": hash}[os.Args[1]]
	if !known {
		log.Fatalf("unknown mode %q: compile or hash", os.Args[1])
	}
	answer, err := json.Marshal(measure(work(text), float64(ms)/1e3))
	check(err)
	fmt.Println(string(answer))
}

type measured struct {
	Count   int     `json:"count"`
	CPU     float64 `json:"cpu"`
	Version string  `json:"version"`
}

func measure(work func() []byte, seconds float64) measured {
	version := hex.EncodeToString(work())
	began := cpuSeconds()
	for count := batch; ; count += batch {
		for range batch {
			work()
		}
		if passed := cpuSeconds() - began; passed >= seconds {
			return measured{count, passed, version}
		}
	}
}

func compile(text []byte) func() []byte {
	return func() []byte {
		document, err := sdl.Read(text)
		check(err)
		_, err = document.DeploymentGroups()
		check(err)
		_, err = document.Manifest()
		check(err)
		version, err := document.Version()
		check(err)
		return version
	}
}

func hash(text []byte) func() []byte {
	document, err := sdl.Read(text)
	check(err)
	manifest, err := document.Manifest()
	check(err)
	return func() []byte {
		version, err := manifest.Version()
		check(err)
		return version
	}
}

// cpuSeconds counts the collector's threads too.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
