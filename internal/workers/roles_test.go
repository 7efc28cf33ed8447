package workers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	kernel "sonde/internal/kernel/process"
)

// roleEnv makes the test binary a worker, or something else that is no test.
const roleEnv = "SONDE_TEST_ROLE"

// workerEnv makes it a worker. Under the race detector a process would wait for a second before it exits.
func workerEnv() []string {
	return []string{roleEnv + "=worker", "GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=0"}
}

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(m.Run())
	case "worker":
		worker()
	case "parent":
		parent(os.Getenv("SONDE_TEST_ADDRESS"))
	case "holder":
		holdConnection(os.Getenv("SONDE_TEST_ADDRESS"))
	case "hung":
		hang()
	default:
		must(fmt.Errorf("role %q", role))
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// hang waits for what never comes. With a bare select{} the runtime would find a deadlock and exit.
func hang() {
	r, w, err := os.Pipe()
	must(err)
	r.Read(make([]byte, 1))
	runtime.KeepAlive(w)
}

// worker does what its assignment says, "ROLE ARGUMENT".
func worker() {
	w, err := Serve(os.Stdin, os.Stdout)
	must(err)
	role, arg, _ := strings.Cut(string(w.Assignment()), " ")
	do, ok := roles[role]
	if !ok {
		must(fmt.Errorf("role %q", role))
	}
	do(w, arg)
}

// roles are what workers of the tests do. Exit code 0 follows.
var roles = map[string]func(w *Worker, arg string){
	// sum adds the numbers of its share, tells each sum, and the last as the final message.
	"sum": func(w *Worker, arg string) {
		sum := 0
		for field := range strings.FieldsSeq(arg) {
			n, err := strconv.Atoi(field)
			must(err)
			sum += n
			must(w.Send([]byte(strconv.Itoa(sum))))
		}
		must(w.Finish([]byte(strconv.Itoa(sum))))
	},
	"mirror": func(w *Worker, _ string) { must(w.Finish(w.Assignment())) },
	// echo tells its process ID, then each command, and at last why it ended.
	"echo": func(w *Worker, _ string) {
		must(w.Send([]byte(strconv.Itoa(os.Getpid()))))
		for command := range w.Commands() {
			must(w.Send(command))
		}
		must(w.Finish([]byte(context.Cause(w.Context()).Error())))
	},
	"exit3": func(w *Worker, _ string) {
		must(w.Send([]byte("half")))
		fmt.Fprint(os.Stderr, "no such thing\nlast words")
		os.Exit(3)
	},
	"exit4-finished": func(w *Worker, _ string) {
		must(w.Finish([]byte("all")))
		os.Exit(4)
	},
	"unfinished": func(w *Worker, _ string) { must(w.Send([]byte("half"))) },
	"prints": func(w *Worker, _ string) {
		signal.Ignore(syscall.SIGTERM)
		must(w.Send([]byte("fine")))
		fmt.Println("a line that somebody left in")
		hang()
	},
	"wrong-kind": func(w *Worker, _ string) {
		os.Stdout.Write([]byte{0, 0, 0, 0, byte(kindCommand)})
		hang()
	},
	"cut": func(w *Worker, _ string) { os.Stdout.Write([]byte{0, 0, 0, 9, byte(kindMessage), 'a', 'b'}) },
	"says-more": func(w *Worker, _ string) {
		must(w.Finish([]byte("all")))
		os.Stdout.Write([]byte{0, 0, 0, 0, byte(kindMessage)})
		hang()
	},
	"slow": func(w *Worker, _ string) { // SIGTERM ends it
		must(w.Send([]byte("ready")))
		hang()
	},
	"deaf": func(w *Worker, _ string) {
		signal.Ignore(syscall.SIGTERM)
		must(w.Send([]byte("ready")))
		hang()
	},
	"lingers": func(w *Worker, _ string) {
		must(w.Finish([]byte("all")))
		hang()
	},
	"closes": func(w *Worker, _ string) {
		os.Stdout.Close()
		hang()
	},
	// flood sends and sends, and tells on stderr, when it is asked, how many messages have gone.
	"flood": func(w *Worker, _ string) {
		var sent atomic.Int64
		go func() {
			for range w.Commands() {
				fmt.Fprintln(os.Stderr, sent.Load())
			}
		}()
		for i := range 200 {
			must(w.Send(append(bytes.Repeat([]byte{'x'}, 64<<10), strconv.Itoa(i)...)))
			sent.Add(1)
		}
		must(w.Finish(nil))
	},
	// bulk tells its process ID, and then more than our buffer and less than the pipe holds.
	"bulk": func(w *Worker, _ string) {
		must(w.Send([]byte(strconv.Itoa(os.Getpid()))))
		for range 3 {
			must(w.Send(make([]byte, 10_000)))
		}
		must(w.Finish(nil))
	},
	// lines writes numbered lines to stderr, one of them long.
	"lines": func(w *Worker, arg string) {
		for i := range 100 {
			fmt.Fprintf(os.Stderr, "%s line %d\n", arg, i)
		}
		fmt.Fprintf(os.Stderr, "%s long %s\n", arg, strings.Repeat("z", maxLine))
		must(w.Finish(nil))
	},
	"cpus": func(w *Worker, _ string) {
		cpus, err := kernel.CPUs()
		must(err)
		must(w.Finish(fmt.Append(nil, cpus, runtime.NumCPU())))
	},
	"orphan": func(w *Worker, address string) {
		go holdConnection(address)
		<-w.Context().Done()
	},
	"orphan-deaf": func(w *Worker, address string) {
		holdConnection(address)
	},
	// leaves starts a process that keeps stdout and stderr, and ends well.
	"leaves": func(w *Worker, address string) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleEnv+"=holder", "SONDE_TEST_ADDRESS="+address)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		must(cmd.Start())
		must(w.Finish([]byte("all")))
	},
}

// parent starts two workers and would wait for them.
func parent(address string) {
	roles := []string{"orphan", "orphan-deaf"}
	if runtime.GOOS == "darwin" {
		roles[1] = "orphan" // only its pipe tells it
	}
	g, err := Start(context.Background(), Options{
		Count:      2,
		Assignment: func(i int) ([]byte, error) { return []byte(roles[i] + " " + address), nil },
		Env:        workerEnv(),
		Stderr:     os.Stderr,
	})
	must(err)
	g.Wait(nil)
}

// holdConnection connects, sends its process ID and holds the connection until the other side ends it: the test sees
// the end of this process there.
func holdConnection(address string) {
	conn, err := net.Dial("tcp", address)
	must(err)
	fmt.Fprintln(conn, os.Getpid())
	io.Copy(io.Discard, conn)
}
