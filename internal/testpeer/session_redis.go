package testpeer

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// The most that redisSession takes in one command; with maxPending over all, they keep a command small.
const (
	maxRedisArgs    = 64
	maxRedisBulk    = 4 << 10
	maxRedisMessage = 64 // of an unknown command's name, in the error
)

// redisSession answers commands in both forms of the Redis protocol (redis.io, "RESP protocol spec"): arrays of bulk
// strings and inline commands. It knows PING, ECHO and QUIT.
type redisSession struct{}

func (redisSession) Greeting() []byte { return nil }

func (redisSession) Receive(in, out []byte) (int, []byte, Then) {
	args, n, err := cutCommand(in)
	if err != nil {
		return len(in), fmt.Appendf(out, "-ERR Protocol error: %v\r\n", err), Then{Close: true}
	}
	if n == 0 {
		if len(in) > maxPending {
			return len(in), append(out, "-ERR Protocol error: too big request\r\n"...), Then{Close: true}
		}
		return 0, out, Then{}
	}
	if len(args) == 0 { // an empty line or array: nothing is answered
		return n, out, Then{}
	}
	answer, last := redisReply(args)
	return n, append(out, answer...), Then{Close: last}
}

func redisReply(args []string) (answer string, last bool) {
	switch name := strings.ToUpper(args[0]); {
	case name == "PING" && len(args) == 1:
		return "+PONG\r\n", false
	case (name == "PING" || name == "ECHO") && len(args) == 2:
		return fmt.Sprintf("$%d\r\n%s\r\n", len(args[1]), args[1]), false
	case name == "PING" || name == "ECHO":
		return fmt.Sprintf("-ERR wrong number of arguments for '%s' command\r\n", strings.ToLower(name)), false
	case name == "QUIT":
		return "+OK\r\n", true
	}
	return fmt.Sprintf("-ERR unknown command %q\r\n", args[0][:min(len(args[0]), maxRedisMessage)]), false
}

// cutCommand takes one command from the start of in. consumed is 0 while it is not whole.
func cutCommand(in []byte) (args []string, consumed int, err error) {
	line, n, ok := cutLine(in)
	if !ok {
		return nil, 0, nil
	}
	if !strings.HasPrefix(line, "*") {
		return strings.Fields(line), n, nil
	}
	count, err := strconv.Atoi(line[1:])
	if err != nil || count > maxRedisArgs {
		return nil, 0, fmt.Errorf("invalid multibulk length")
	}
	for range count {
		line, m, ok := cutLine(in[n:])
		if !ok {
			return nil, 0, nil
		}
		if !strings.HasPrefix(line, "$") {
			return nil, 0, fmt.Errorf("expected '$'")
		}
		size, err := strconv.Atoi(line[1:])
		if err != nil || size < 0 || size > maxRedisBulk {
			return nil, 0, fmt.Errorf("invalid bulk length")
		}
		n += m
		if len(in) < n+size+2 {
			return nil, 0, nil
		}
		if !bytes.HasPrefix(in[n+size:], []byte("\r\n")) {
			return nil, 0, fmt.Errorf("bulk without CRLF")
		}
		args = append(args, string(in[n:n+size]))
		n += size + 2
	}
	return args, n, nil
}
