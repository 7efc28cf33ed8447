package crew

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"sonde/internal/workers"
)

// What a message of a worker begins with.
const (
	sayReady byte = iota // calls may come
	sayTaken             // one more may
	sayPart              // of the answer to a call, whose number follows
	sayLast              // likewise, the last
	sayError             // in place of it: a text
)

// part is how much of an answer is one message, far below workers.MaxPayload: between two of them others have their turn.
const part = 1 << 20

// maxUntaken is how many calls may be on their way to a worker: fewer than the commands that its pipe holds (workers.ErrBusy, ErrOverrun).
const maxUntaken = 32

// Process is a worker that is ready. Its methods are safe for concurrent use.
type Process struct {
	group *workers.Group
	room  chan struct{} // a place for each call that is on its way
	gone  chan struct{} // closed when it has ended

	mu    sync.Mutex // guards what follows
	calls map[uint64]*call
	last  uint64 // the number of the last call
}

// call waits for its answer.
type call struct {
	answer []byte
	err    error
	done   chan struct{} // closed when the answer is whole
}

func newProcess(group *workers.Group) *Process {
	return &Process{group: group, room: make(chan struct{}, maxUntaken), gone: make(chan struct{}), calls: make(map[uint64]*call)}
}

// Call has the worker answer. word is 255 bytes at most, and with data below workers.MaxPayload. An error is ErrDown, ctx's, or what
// the handler said.
func (p *Process) Call(ctx context.Context, word string, data []byte) ([]byte, error) {
	select {
	case p.room <- struct{}{}:
	case <-p.gone:
		return nil, ErrDown
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c := &call{done: make(chan struct{})}
	p.mu.Lock()
	p.last++
	number := p.last
	p.calls[number] = c
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.calls, number)
		p.mu.Unlock()
	}()
	command := append(binary.BigEndian.AppendUint64(nil, number), byte(len(word)))
	if err := p.group.Send(0, append(append(command, word...), data...)); err != nil {
		<-p.room // it was not sent
		if errors.Is(err, workers.ErrEnded) {
			err = ErrDown
		}
		return nil, err
	}
	select {
	case <-c.done:
		return c.answer, c.err
	case <-p.gone:
		return nil, ErrDown
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// take takes a message; the first one says that the process is ready. Both sides are one program: what makes no sense is left alone.
func (p *Process) take(message []byte) (ready bool) {
	if len(message) == 0 {
		return false // the final one
	}
	say, rest := message[0], message[1:]
	switch say {
	case sayReady:
		return true
	case sayTaken:
		<-p.room
		return false
	}
	if len(rest) < 8 {
		return false
	}
	number, data := binary.BigEndian.Uint64(rest), rest[8:]
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls[number]
	switch {
	case c == nil: // nobody waits any more
	case say == sayPart:
		c.answer = append(c.answer, data...)
	case say == sayLast:
		c.answer = append(c.answer, data...)
		close(c.done)
	case say == sayError:
		c.err = errors.New(string(data))
		close(c.done)
	}
	return false
}

// Handler answers a call: what Process.Call was given. It is called by many goroutines at once. Its context ends with the worker.
type Handler func(ctx context.Context, word string, data []byte) ([]byte, error)

// Serve is the worker's side: it says that it is ready, and answers until the worker's context ends. Who calls it says by Finish that
// the worker ends well.
func Serve(w *workers.Worker, handle Handler) error {
	if err := w.Send([]byte{sayReady}); err != nil {
		return err
	}
	var answers sync.WaitGroup
	defer answers.Wait()
	for command := range w.Commands() {
		if err := w.Send([]byte{sayTaken}); err != nil {
			return err
		}
		number, word, data, err := parse(command)
		if err != nil {
			return err
		}
		answers.Go(func() {
			answer, err := handle(w.Context(), word, data)
			send(w, number, answer, err)
		})
	}
	return nil
}

func parse(command []byte) (number []byte, word string, data []byte, err error) {
	if len(command) < 9 || len(command) < 9+int(command[8]) {
		return nil, "", nil, fmt.Errorf("a call of %d bytes", len(command))
	}
	end := 9 + int(command[8])
	return command[:8], string(command[9:end]), command[end:], nil
}

// send sends an answer. A parent that is gone needs none.
func send(w *workers.Worker, number, answer []byte, err error) {
	say := sayLast
	if err != nil {
		say, answer = sayError, []byte(err.Error())
	}
	message := make([]byte, 0, 9+min(len(answer), part))
	for len(answer) > part {
		if w.Send(append(append(append(message, sayPart), number...), answer[:part]...)) != nil {
			return
		}
		answer = answer[part:]
	}
	_ = w.Send(append(append(append(message, say), number...), answer...))
}
