package http

import "iter"

// feed is bytes that come in parts, for code that pulls what it reads: that runs as a coroutine, which parks wherever it would wait
// for more. The coroutine ends by itself or with finish: whoever makes a feed must call it in the end.
type feed struct {
	resume func() (struct{}, bool)
	park   func(struct{}) bool

	part  []byte // what the coroutine has not read yet
	ended bool   // nothing comes behind part
	over  bool   // the coroutine has ended, and reads no more
}

// begin makes a coroutine of run. It is called once, and before all else.
func (f *feed) begin(run func()) {
	f.resume, _ = iter.Pull(func(park func(struct{}) bool) {
		f.park = park
		run()
		f.over = true
	})
}

// write has the coroutine read part, which is not needed any more when it returns.
func (f *feed) write(part []byte) {
	f.part = part
	f.resume()
}

// finish has the coroutine read to the end: nothing more comes.
func (f *feed) finish() {
	f.ended = true
	f.resume()
}

// await has at least n bytes in part, or returns false. The coroutine calls it.
func (f *feed) await(n int) bool {
	var held []byte
	for len(held)+len(f.part) < n && !f.ended {
		held = append(held, f.part...)
		f.part = nil
		f.park(struct{}{})
	}
	if len(held) > 0 {
		f.part = append(held, f.part...)
	}
	return len(f.part) >= n
}
