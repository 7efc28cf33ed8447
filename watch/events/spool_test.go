package events

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sonde/internal/kernel/regular"
)

// down is a receiver that is away.
func down(int) (int, error) { return 503, nil }

// snapshot copies a spool as it is now, which is what a process that is killed leaves behind.
func snapshot(t *testing.T, spool string) string {
	t.Helper()
	data, err := os.ReadFile(spool)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func spoolIn(t *testing.T) Options { return Options{Spool: filepath.Join(t.TempDir(), "spool")} }

// TestCrash: at no moment does a crash lose an event that was spooled, whatever was delivered.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		q := open(t, o, func(request int) (int, error) { return []int{200, 503}[request%2], nil })
		q.add(1, 1700)
		q.start()
		for left := 1700; left > 0; left = q.Stats().Waiting {
			synctest.Wait()
			after := open(t, Options{Spool: snapshot(t, o.Spool)}, nil)
			after.start()
			time.Sleep(time.Millisecond)
			after.stop()
			seen := len(q.receiver.got)
			if got := len(after.receiver.got); got != 1700-seen { // nothing is on its way, so none comes twice
				t.Fatalf("with %d delivered, %d more came behind the crash", seen, got)
			}
			after.receiver.got = append(q.receiver.got[:seen:seen], after.receiver.got...)
			after.receiver.want(t, 1, 1700)
			time.Sleep(time.Second)
		}
		q.stop()
		if data, err := os.ReadFile(o.Spool); err != nil || len(data) != 0 {
			t.Errorf("all is delivered, and the spool holds %q, %v", data, err)
		}
	})
}

// TestCrashOnTheWay: what was taken by a receiver whose answer is not here yet comes twice, with the same ids.
func TestCrashOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		q := open(t, o, func(int) (int, error) { return 200, nil })
		q.add(1, 3)
		answered := make(chan struct{})
		q.client.Transport = answering(func(r *http.Request) (*http.Response, error) {
			response, err := q.receiver.RoundTrip(r)
			<-answered
			return response, err
		})
		q.start()
		synctest.Wait()
		after := open(t, Options{Spool: snapshot(t, o.Spool)}, nil)
		after.start()
		synctest.Wait()
		after.receiver.want(t, 1, 3)
		if diff := cmp.Diff(q.receiver.got, after.receiver.got); diff != "" {
			t.Error(diff)
		}
		close(answered)
	})
}

// TestSpoolComesFirst: nothing is sent that is not spooled, else its mark would mean nothing.
func TestSpoolComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, spoolIn(t), nil)
		d := &delivery{Queue: q.Queue, requests: t.Context(), results: make(chan error, 1)}
		q.add(1, 2)
		d.keep()
		q.add(3, 3)
		d.send()
		if len(d.batch) != 2 || d.sending != 2 {
			t.Errorf("%d events are on their way, up to number %d, want the two that are spooled", len(d.batch), d.sending)
		}
		d.settle(<-d.results)
	})
}

// TestRestart: what an orderly stop leaves comes first behind the start, with the same ids.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		first := open(t, o, down)
		first.start()
		first.add(1, 3)
		synctest.Wait()
		first.stop()
		first.wantLog("3 are not delivered; they wait in", 1)
		second := open(t, o, nil)
		if got := second.Stats(); got.Waiting != 3 || got.Added != 3 {
			t.Errorf("got %+v", got)
		}
		second.add(4, 5)
		second.start()
		time.Sleep(time.Second)
		second.receiver.want(t, 1, 5)
		if id := second.receiver.got[2].ID; id != first.run+"-3" {
			t.Errorf("got the id %s, want that of the first run, %s-3", id, first.run)
		}
	})
}

// TestReload: one queue takes the place of another, and what was queued and what comes meanwhile is delivered in order, spool or none.
func TestReload(t *testing.T) {
	spool := filepath.Join(t.TempDir(), "spool")
	for _, c := range []struct{ name, before, after string }{
		{"no spool", "", ""}, {"the same spool", spool, spool}, {"a spool more", "", spool + "1"}, {"another spool", spool + "2", spool + "3"}, {"a spool less", spool + "4", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := open(t, Options{Spool: c.before}, down)
				first.start()
				first.add(1, 600)
				synctest.Wait()
				second := open(t, Options{Spool: c.after, Before: first.Queue}, nil)
				first.add(601, 601)
				first.stop()
				first.add(602, 602)
				if c.after != "" {
					defer second.checkSpool(t, c.after)
				}
				second.add(603, 603)
				second.start()
				synctest.Wait()
				first.add(604, 604)
				synctest.Wait()
				second.receiver.want(t, 1, 604)
				first.wantLog("lost", 0)
				first.wantLog("next start", 0)
				if got := second.receiver.got[0].ID; got != first.run+"-1" {
					t.Errorf("got the id %s, want that of the first queue", got)
				}
			})
		})
	}
}

// checkSpool checks that the spool is used: what is added when the receiver is away is there.
func (q *tested) checkSpool(t *testing.T, path string) {
	t.Helper()
	q.receiver.answer = down
	q.add(605, 605)
	synctest.Wait()
	if kept, err := readSpool(path, 10); err != nil || len(kept) != 1 {
		t.Errorf("the spool holds %d events, %v, want 1", len(kept), err)
	}
}

// TestNoSpool: a device in place of the file is none, and is not replaced by one.
func TestNoSpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.Symlink("/dev/null", path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openSpool(path, 10); !errors.Is(err, regular.ErrIrregular) {
		t.Errorf("got %v, want %v", err, regular.ErrIrregular)
	}
}

// TestDamagedSpool: of a file that a crash or a disk damaged, the whole lines count.
func TestDamagedSpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		first := open(t, o, down)
		first.add(1, 4)
		first.start()
		synctest.Wait()
		lines := bytes.SplitAfter(mustRead(t, o.Spool), []byte("\n"))
		damaged := bytes.Join([][]byte{
			[]byte("\n{}\nnull\n[1]\n\x00\x00\n"), lines[0], bytes.Repeat([]byte("x"), 3*maxSpoolLine), []byte("\n"), lines[1],
			[]byte(`{"done":"another"}` + "\n"), lines[2], lines[3][:len(lines[3])-5],
		}, nil)
		if err := os.WriteFile(o.Spool+".damaged", damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		second := open(t, Options{Spool: o.Spool + ".damaged"}, nil)
		second.start()
		time.Sleep(time.Second)
		second.receiver.want(t, 1, 3)
	})
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSpoolOfAGreaterQueue: it gives the youngest.
func TestSpoolOfAGreaterQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		first := open(t, o, down)
		first.start()
		first.add(1, 30)
		synctest.Wait()
		first.stop()
		o.Queue = 10
		second := open(t, o, nil)
		second.start()
		time.Sleep(time.Second)
		second.receiver.want(t, 21, 30)
	})
}

// TestSpoolStaysShort: it is written anew when it is much longer than what is queued.
func TestSpoolStaysShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		o.Queue = 10
		q := open(t, o, down)
		q.spool.limit = 2 << 10
		q.start()
		line := 200
		for i := range 100 {
			q.add(i, i)
			synctest.Wait()
			q.spoolMustBeShorter(t, 2<<10+2*line)
			q.spool.limit = min(q.spool.limit, 2<<10)
		}
		if lines := strings.Count(string(mustRead(t, o.Spool)), "\n"); lines < 10 {
			t.Errorf("the spool has %d lines, want what is queued", lines)
		}
	})
}

func (q *tested) spoolMustBeShorter(t *testing.T, most int) {
	t.Helper()
	size := len(mustRead(t, q.options.Spool))
	if size > most || int64(size) != q.Stats().Spooled {
		t.Fatalf("the spool has %d bytes, want at most %d; told are %d", size, most, q.Stats().Spooled)
	}
}

// TestFullDisk: events are delivered though they can't be kept, which is told once; then all that is queued is kept again.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		var status atomic.Int32
		status.Store(200)
		q := open(t, o, func(int) (int, error) { return int(status.Load()), nil })
		folder := filepath.Dir(o.Spool)
		if err := q.spool.file.Close(); err != nil { // each write fails
			t.Fatal(err)
		}
		if err := os.Rename(folder, folder+".away"); err != nil { // and so does a new file
			t.Fatal(err)
		}
		q.start()
		q.add(1, 1)
		synctest.Wait()
		q.add(2, 2)
		synctest.Wait()
		q.receiver.want(t, 1, 2)
		if got := q.Stats(); got.SpoolError == "" {
			t.Errorf("got %+v", got)
		}
		status.Store(503)
		q.add(3, 3)
		synctest.Wait()
		if err := os.Rename(folder+".away", folder); err != nil {
			t.Fatal(err)
		}
		q.add(4, 4)
		synctest.Wait()
		after := open(t, Options{Spool: snapshot(t, o.Spool)}, nil)
		after.start()
		time.Sleep(time.Millisecond)
		after.receiver.want(t, 3, 4)
		q.wantLog("can't be written", 1)
		q.wantLog("is written again", 1)
		status.Store(200)
	})
}

// TestFullDiskAndEmptySpool: that a file with nothing in it can be written says of a full disk nothing.
func TestFullDiskAndEmptySpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, spoolIn(t), nil)
		q.start()
		synctest.Wait()
		if err := q.spool.file.Close(); err != nil { // the next write fails, and what follows is a new file
			t.Fatal(err)
		}
		q.add(1, 1)
		synctest.Wait()
		q.receiver.want(t, 1, 1)
		q.wantLog("can't be written", 1)
		q.wantLog("is written again", 0)
		if got := q.Stats(); got.SpoolError == "" || got.Spooled != 0 {
			t.Errorf("got %+v", got)
		}
		q.add(2, 2)
		synctest.Wait()
		q.wantLog("is written again", 1)
		if got := q.Stats(); got.SpoolError != "" {
			t.Errorf("got %+v", got)
		}
	})
}

// TestDiskFullForAWhile: what could not be kept is kept as soon as there is room, though nothing new comes.
func TestDiskFullForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		q := open(t, o, down)
		folder := filepath.Dir(o.Spool)
		if err := errors.Join(q.spool.file.Close(), os.Rename(folder, folder+".away")); err != nil { // each write fails
			t.Fatal(err)
		}
		q.start()
		q.add(1, 3)
		time.Sleep(time.Minute)
		if err := os.Rename(folder+".away", folder); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute) // of the bubble: it was tried again
		after := open(t, Options{Spool: snapshot(t, o.Spool)}, nil)
		after.start()
		time.Sleep(time.Millisecond)
		after.receiver.want(t, 1, 3)
	})
}

// TestLostAtTheEnd: that events wait in the spool is said only if they do.
func TestLostAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := spoolIn(t)
		q := open(t, o, down)
		folder := filepath.Dir(o.Spool)
		if err := errors.Join(q.spool.file.Close(), os.Rename(folder, folder+".away")); err != nil {
			t.Fatal(err)
		}
		q.start()
		q.add(1, 3)
		synctest.Wait()
		q.stop()
		q.wantLog("wait in", 0)
		q.wantLog("3 are not delivered, and lost", 1)
	})
}

// FuzzParseSpool holds that whatever a spool holds, it is read, and that what is read is written and read as the same.
func FuzzParseSpool(f *testing.F) {
	f.Add([]byte(`{"id":"a-1","job":"x"}` + "\n" + `{"id":"a-2"}` + "\n" + `{"done":"a-1"}` + "\n" + `{"id`))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept, err := parseSpool(bytes.NewReader(data), 10)
		if err != nil || len(kept) > 10 {
			t.Fatalf("got %d events, %v", len(kept), err)
		}
		var written bytes.Buffer
		if size, err := writeLines(&written, kept); err != nil || size != int64(written.Len()) {
			t.Fatalf("wrote %d bytes, %v, want %d", written.Len(), err, size)
		}
		again, err := parseSpool(&written, 10)
		if diff := cmp.Diff(kept, again, cmp.AllowUnexported(entry{}), cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v: %s", err, diff)
		}
	})
}
