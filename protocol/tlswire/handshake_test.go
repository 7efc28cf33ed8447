package tlswire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/protocol"
	"sonde/protocol/protocoltest"
)

// assemble gives the fragments to a and returns the messages as text, and the error that ended it if it is not
// ErrIncomplete.
func assemble(a *Assembler, fragments ...[]byte) (messages []string, err error) {
	for _, fragment := range fragments {
		a.Add(bytes.Clone(fragment))
		for {
			m, err := a.Next()
			if err == protocol.ErrIncomplete {
				break
			}
			if err != nil {
				return messages, err
			}
			messages = append(messages, fmt.Sprintf("%v:%s", m.Type, m.Body()))
		}
	}
	return messages, nil
}

// cut divides stream into pieces of the sizes given, over and over.
func cut(stream []byte, sizes ...int) (pieces [][]byte) {
	for i := 0; len(stream) > 0; i++ {
		n := min(max(sizes[i%len(sizes)], 1), len(stream))
		pieces = append(pieces, stream[:n])
		stream = stream[n:]
	}
	return pieces
}

func flight() (stream []byte, want []string) {
	stream = AppendMessage(stream, HandshakeServerHello, []byte("hello"))
	stream = AppendMessage(stream, HandshakeCertificate, []byte(strings.Repeat("c", 300)))
	stream = AppendMessage(stream, HandshakeServerHelloDone, nil)
	return stream, []string{"server_hello:hello", "certificate:" + strings.Repeat("c", 300), "server_hello_done:"}
}

// However the messages are cut into records, they come out the same, and nothing is pending behind the last.
func TestAssemblerFragments(t *testing.T) {
	stream, want := flight()
	var a Assembler
	for _, sizes := range [][]int{{len(stream)}, {1}, {2}, {3}, {4}, {5}, {8}, {9, 1}, {10}, {13, 2}, {100}, {312}, {313}, {314}} {
		a.Reset()
		got, err := assemble(&a, cut(stream, sizes...)...)
		if err != nil {
			t.Fatalf("cut %v: %v", sizes, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("cut %v (-want +got):\n%s", sizes, diff)
		}
		if a.Pending() {
			t.Errorf("cut %v: pending, want not", sizes)
		}
	}
	for n := 1; n < len(stream); n++ {
		a.Reset()
		got, err := assemble(&a, stream[:n])
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		whole := n == 9 || n == 313
		if a.Pending() == whole || len(got) > 2 {
			t.Errorf("%d bytes: pending %t with %d messages, want pending %t", n, a.Pending(), len(got), !whole)
		}
	}
}

func TestAssemblerRaw(t *testing.T) {
	stream := AppendMessage(nil, HandshakeFinished, []byte("abc"))
	for _, size := range []int{len(stream), 2} {
		var a Assembler
		var m Message
		err := protocol.ErrIncomplete
		for _, piece := range cut(stream, size) {
			a.Add(piece)
			m, err = a.Next()
		}
		if err != nil || !bytes.Equal(m.Raw, stream) {
			t.Errorf("cut %d: got %x, %v, want %x", size, m.Raw, err, stream)
		}
	}
}

// A length above the limit is refused by the header alone, whatever the record still holds, and the refusal stays.
func TestAssemblerLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		a      Assembler
		header string
		want   string // a part of the error; empty for none
	}{
		{"ordinary, at the limit", Assembler{}, "\x02\x01\x00\x00", ""},
		{"ordinary, above", Assembler{}, "\x02\x01\x00\x01", "server_hello of 65537 bytes, more than 65536"},
		{"certificate, at the limit", Assembler{}, "\x0b\x04\x00\x00", ""},
		{"certificate, above", Assembler{}, "\x0b\x04\x00\x01", "certificate of 262145 bytes, more than 262144"},
		{"compressed certificate, at the limit", Assembler{}, "\x19\x04\x00\x00", ""},
		{"largest that can be announced", Assembler{}, "\x0b\xff\xff\xff", "16777215"},
		{"own limit", Assembler{MessageLimit: 100}, "\x02\x00\x00\x65", "more than 100"},
		{"own limit does not bind certificates", Assembler{MessageLimit: 100}, "\x0b\x00\x00\x65", ""},
		{"own certificate limit", Assembler{CertificateLimit: 100}, "\x0b\x00\x00\x65", "more than 100"},
	} {
		for _, size := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				a := c.a
				_, err := assemble(&a, cut([]byte(c.header), size)...)
				if !errorHas(err, c.want) || err != nil && !errors.Is(err, protocol.ErrTooLarge) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
				if err == nil {
					return
				}
				a.Add([]byte("\x0e\x00\x00\x00"))
				if _, again := a.Next(); !errors.Is(again, protocol.ErrTooLarge) {
					t.Errorf("asked again: got %v, want ErrTooLarge", again)
				}
				a.Reset()
				if got, err := assemble(&a, []byte("\x0e\x00\x00\x00")); err != nil || len(got) != 1 {
					t.Errorf("after Reset: got %q, %v, want one message", got, err)
				}
				if a.MessageLimit != c.a.MessageLimit || a.CertificateLimit != c.a.CertificateLimit {
					t.Error("Reset lost the limits")
				}
			})
		}
	}
}

// A chain larger than any buffer of the engine is gathered; memory follows what came and goes back at Reset.
func TestAssemblerMemory(t *testing.T) {
	body := strings.Repeat("c", MaxCertificateMessage)
	stream := AppendMessage(nil, HandshakeCertificate, []byte(body))
	var a Assembler
	sent := 0
	pieces := cut(stream, MaxPlaintext)
	for i, piece := range pieces {
		a.Add(piece)
		m, err := a.Next()
		sent += len(piece)
		if most := 2*sent + 4096; cap(a.buf) > most {
			t.Fatalf("after %d bytes: holds %d, want at most %d", sent, cap(a.buf), most)
		}
		if last := i == len(pieces)-1; last != (err == nil) {
			t.Fatalf("after %d bytes: got error %v", sent, err)
		} else if last && string(m.Body()) != body {
			t.Error("body differs")
		}
	}
	if a.Reset(); cap(a.buf) > maxKept {
		t.Errorf("after Reset: holds %d bytes, want at most %d", cap(a.buf), maxKept)
	}
}

func TestAssemblerAddTooSoon(t *testing.T) {
	var a Assembler
	stream, _ := flight()
	a.Add(stream)
	if _, err := a.Next(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Add with messages left: got no panic, want one")
		}
	}()
	a.Add(stream)
}

func TestAssemblerAllocs(t *testing.T) {
	if protocoltest.UnderRace() {
		return
	}
	stream, want := flight()
	for _, size := range []int{len(stream), 40} {
		pieces := cut(stream, size)
		var a Assembler
		allocs := testing.AllocsPerRun(50, func() {
			n := 0
			for _, piece := range pieces {
				a.Add(piece)
				for {
					if _, err := a.Next(); err != nil {
						break
					}
					n++
				}
			}
			if n != len(want) {
				t.Fatalf("got %d messages, want %d", n, len(want))
			}
			a.Reset()
		})
		if allocs > 0 {
			t.Errorf("records of %d bytes: got %v allocations a flight, want 0", size, allocs)
		}
	}
}

// FuzzAssembler gives any bytes in any fragments: the messages do not depend on where the records end, and joined they
// are what was given.
func FuzzAssembler(f *testing.F) {
	stream, _ := flight()
	f.Add(stream, []byte{1})
	f.Add(stream, []byte{40, 3})
	f.Add([]byte("\x0b\xff\xff\xff"), []byte{2})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		read := func(pieces [][]byte) (raw []byte, n int, failed, pending bool) {
			a := Assembler{MessageLimit: 1 << 10, CertificateLimit: 2 << 10}
			for _, piece := range pieces {
				piece = bytes.Clone(piece)
				a.Add(piece)
				m, err := a.Next()
				for ; err == nil; m, err = a.Next() {
					raw, n = append(raw, m.Raw...), n+1
				}
				clear(piece)
				if cap(a.buf) > 8<<10 {
					t.Fatalf("holds %d bytes", cap(a.buf))
				}
				if err != protocol.ErrIncomplete {
					return raw, n, true, false
				}
			}
			return raw, n, false, a.Pending()
		}
		var widths []int
		for _, s := range sizes {
			widths = append(widths, int(s)+1)
		}
		whole, n, failed, pending := read([][]byte{stream})
		split, m, failedToo, pendingToo := read(cut(stream, append(widths, 7)...))
		if !bytes.Equal(whole, split) || n != m || failed != failedToo || pending != pendingToo {
			t.Errorf("in one piece %d messages, failed %t, pending %t; split %d, %t, %t", n, failed, pending, m, failedToo, pendingToo)
		}
		if !bytes.HasPrefix(stream, whole) {
			t.Error("the messages are not what was given")
		}
	})
}

func BenchmarkAssembler(b *testing.B) {
	stream, _ := flight()
	for _, size := range []int{len(stream), 64} {
		b.Run(fmt.Sprintf("records of %d", size), func(b *testing.B) {
			pieces := cut(stream, size)
			var a Assembler
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				for _, piece := range pieces {
					a.Add(piece)
					for {
						if _, err := a.Next(); err != nil {
							break
						}
					}
				}
			}
		})
	}
}
