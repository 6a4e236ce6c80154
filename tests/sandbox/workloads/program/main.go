// The only program of the image under test: what a tenant can do, on request over HTTP.
package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var hoard [][]byte

func number(r *http.Request, name string) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil {
		return 0
	}
	return n
}

func who(w http.ResponseWriter, _ *http.Request) {
	host, _ := os.Hostname()
	cwd, _ := os.Getwd()
	names := []string{}
	faces, _ := net.Interfaces()
	for _, face := range faces {
		names = append(names, face.Name)
	}
	entries := []string{}
	found, _ := os.ReadDir("/")
	for _, entry := range found {
		entries = append(entries, entry.Name())
	}
	json.NewEncoder(w).Encode(map[string]any{
		"pid": os.Getpid(), "uid": os.Getuid(), "gid": os.Getgid(), "hostname": host, "cwd": cwd,
		"args": os.Args[1:], "env": os.Environ(), "interfaces": names, "root": entries,
	})
}

func eat(_ http.ResponseWriter, r *http.Request) {
	block := make([]byte, number(r, "bytes"))
	for i := 0; i < len(block); i += 1024 {
		block[i] = 1
	}
	hoard = append(hoard, block)
}

// spin keeps one core busy and answers with the share of it that the program got.
func spin(w http.ResponseWriter, r *http.Request) {
	began, used := time.Now(), processor()
	end := began.Add(time.Duration(number(r, "ms")) * time.Millisecond)
	for time.Now().Before(end) {
	}
	json.NewEncoder(w).Encode(float64(processor()-used) / float64(time.Since(began)))
}

func processor() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func write(w http.ResponseWriter, r *http.Request) {
	if err := os.WriteFile(r.URL.Query().Get("path"), []byte("written"), 0o644); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
	}
}

// echo reads everything first: the server ends a body that is answered before it was read.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Write(body)
}

func dial(w http.ResponseWriter, r *http.Request) {
	made, err := net.DialTimeout("tcp", r.URL.Query().Get("to"), time.Second)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	made.Close()
}

func resolve(w http.ResponseWriter, r *http.Request) {
	found, err := net.DefaultResolver.LookupHost(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	json.NewEncoder(w).Encode(found)
}

// may tries what seccomp profiles differ in, and answers with the error of each, "" for none.
func may(w http.ResponseWriter, _ *http.Request) {
	json.NewEncoder(w).Encode(map[string]string{
		"pidfd_getfd": duplicate(), "user_namespace": userNamespace(), "child": child(),
	})
}

func duplicate() string {
	const pidfdOpen, pidfdGetfd = 434, 438
	process, _, code := syscall.Syscall(pidfdOpen, uintptr(os.Getpid()), 0, 0)
	if code != 0 {
		return "pidfd_open: " + code.Error()
	}
	defer syscall.Close(int(process))
	made, _, code := syscall.Syscall(pidfdGetfd, process, 1, 0)
	if code != 0 {
		return code.Error()
	}
	syscall.Close(int(made))
	return ""
}

func userNamespace() string {
	child := exec.Command("/proc/self/exe")
	child.Env = []string{"EXIT_AT_ONCE=0"}
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	return said(child.Run())
}

// child is what a profile must not forbid by the way.
func child() string {
	made := exec.Command("/proc/self/exe")
	made.Env = []string{"EXIT_AT_ONCE=0"}
	return said(made.Run())
}

func said(err error) string {
	if err == nil {
		return ""
	}
	_, after, _ := strings.Cut(err.Error(), ": ")
	return after
}

// status answers with the fields of proc_pid_status(5).
func status(w http.ResponseWriter, _ *http.Request) {
	text, _ := os.ReadFile("/proc/self/status")
	fields := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, found := strings.Cut(line, ":"); found {
			fields[name] = strings.TrimSpace(value)
		}
	}
	json.NewEncoder(w).Encode(fields)
}

// visit is what a command inside the container sees; it gives its input back and ends with 3.
func visit() {
	host, _ := os.Hostname()
	entries, _ := os.ReadDir("/")
	rootPid, _ := os.Readlink("/proc/1/exe")
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"args": os.Args[2:], "hostname": host, "colour": os.Getenv("COLOUR"), "first": rootPid,
		"entries": len(entries),
	})
	os.Stderr.WriteString("aside\n")
	line := make([]byte, 64)
	n, _ := os.Stdin.Read(line)
	os.Stdout.Write(line[:n])
	os.Exit(3)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "visit" {
		visit()
	}
	os.Stdout.WriteString("serving\n")
	http.HandleFunc("/may", may)
	http.HandleFunc("/resolve", resolve)
	http.HandleFunc("/status", status)
	http.HandleFunc("/who", who)
	http.HandleFunc("/eat", eat)
	http.HandleFunc("/spin", spin)
	http.HandleFunc("/write", write)
	http.HandleFunc("/dial", dial)
	http.HandleFunc("/echo", echo)
	http.HandleFunc("/exit", func(_ http.ResponseWriter, r *http.Request) { os.Exit(number(r, "code")) })
	if code, err := strconv.Atoi(os.Getenv("EXIT_AT_ONCE")); err == nil {
		os.Exit(code)
	}
	port := os.Getenv("PORT")
	if err := http.ListenAndServe(":"+port, nil); err != nil {
		os.Exit(3)
	}
}
