package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

func newTestShared() *shared {
	cfg := Config{Profiles: []Profile{{}}}.withDefaults()
	return newShared(&cfg)
}

// TestSubmittersAreAllSetFree has several submitters wait at a full inbox: each must get on when there is room and when
// the engine is finished, though the inbox has one token for all of them.
func TestSubmittersAreAllSetFree(t *testing.T) {
	for name, free := range map[string]func(s *shared){
		"finish": func(s *shared) {
			s.inbox.take(make([]Job, inboxSize))
			s.inbox.finish()
		},
		"room": func(s *shared) { s.inbox.take(make([]Job, inboxSize)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTestShared()
				if n, err := s.inbox.put(t.Context(), make([]Job, inboxSize)); n != inboxSize || err != nil {
					t.Fatalf("got %d, %v; want the inbox full", n, err)
				}
				var running sync.WaitGroup
				for range 5 {
					running.Go(func() {
						if n, err := s.inbox.put(context.Background(), make([]Job, 1)); (n == 1) == errors.Is(err, ErrStopped) {
							t.Errorf("got %d, %v", n, err)
						}
					})
				}
				synctest.Wait()
				free(s)
				running.Wait() // synctest reports a deadlock if one of them stays behind
			})
		})
	}
}

func TestSubmitHeedsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestShared()
		ctx, cancel := context.WithCancel(t.Context())
		var n int
		var err error
		var running sync.WaitGroup
		running.Go(func() { n, err = s.inbox.put(ctx, make([]Job, inboxSize+7)) })
		synctest.Wait()
		cancel()
		running.Wait()
		if n != inboxSize || !errors.Is(err, context.Canceled) {
			t.Errorf("got %d, %v; want %d jobs taken and the context's error", n, err, inboxSize)
		}
	})
}

// TestQueuesLoseNoWakeUp has loops that sleep until they are woken, as real ones do, take jobs from submitters and give
// outcomes to a consumer that sleeps until Ready. One wake-up lost and they all sleep for ever.
func TestQueuesLoseNoWakeUp(t *testing.T) {
	const loops, submitters, each = 3, 3, 20000
	s := newTestShared()
	wakes := make([]chan struct{}, loops)
	for i := range wakes {
		wakes[i] = make(chan struct{}, 1)
	}
	s.wake = func() {
		for _, w := range wakes {
			signal(w)
		}
	}
	var running, submitting sync.WaitGroup
	for i := range loops {
		running.Go(func() { sleepyLoop(s, wakes[i]) })
	}
	for i := range submitters {
		submitting.Go(func() {
			for j := 0; j < each; {
				jobs := make([]Job, min(1+j%300, each-j))
				for k := range jobs {
					jobs[k].ID = uint64(i*each + j + k)
				}
				n, err := s.inbox.put(t.Context(), jobs)
				if err != nil || n != len(jobs) {
					t.Errorf("put: %d of %d, %v", n, len(jobs), err)
				}
				j += n
			}
		})
	}
	go func() {
		submitting.Wait()
		s.inbox.finish()
		s.wake()
		running.Wait()
		s.outbox.close()
	}()
	seen := make([]bool, submitters*each)
	var outcomes []Outcome
	for more := true; more; {
		<-s.outbox.ready
		outcomes, more = s.outbox.take(outcomes[:0])
		s.wakeHungry()
		for _, o := range outcomes {
			if seen[o.ID] {
				t.Fatalf("job %d came twice", o.ID)
			}
			seen[o.ID] = true
		}
	}
	for id, ok := range seen {
		if !ok {
			t.Fatalf("job %d never came", id)
		}
	}
}

// sleepyLoop answers jobs by admission's own rules for when to sleep.
func sleepyLoop(s *shared, wake chan struct{}) {
	cfg := Config{Profiles: []Profile{{}}}.withDefaults()
	l := &loop{cfg: &cfg, shared: s, clk: cfg.Clock, admission: newAdmission(dialsPerRound, 1<<30)}
	for !l.isOver() {
		for l.hasRoom() && l.hasJob() {
			l.giveUp(waiter{job: l.admission.pending[l.admission.first]}, NotDialed, 0, 0, 0)
			l.admission.first++
			l.deliver()
		}
		if !l.isOver() {
			<-wake
		}
	}
}

func TestOutboxEnds(t *testing.T) {
	q := outbox{ready: make(chan struct{}, 1)}
	q.put([]Outcome{{ID: 1}})
	q.close()
	<-q.ready
	if got, more := q.take(nil); len(got) != 1 || more {
		t.Errorf("got %d outcomes, more %v; want the last one and the end", len(got), more)
	}
	if got, more := q.take(nil); len(got) != 0 || more {
		t.Errorf("got %d outcomes, more %v after the end", len(got), more)
	}
}

// TestOfferAlone has one goroutine offer jobs and take outcomes, with nothing but Ready to wake it: it is never left with jobs in
// hand and nothing on the way.
func TestOfferAlone(t *testing.T) {
	const loops, each = 2, 20 * inboxSize
	s := newTestShared()
	wakes := make([]chan struct{}, loops)
	for i := range wakes {
		wakes[i] = make(chan struct{}, 1)
	}
	s.wake = func() {
		for _, w := range wakes {
			signal(w)
		}
	}
	var running sync.WaitGroup
	for i := range loops {
		running.Go(func() { sleepyLoop(s, wakes[i]) })
	}
	jobs, short := make([]Job, each), 0
	var outcomes []Outcome
	for seen := 0; seen < each; {
		n, err := s.inbox.offer(jobs)
		if err != nil {
			t.Fatal(err)
		}
		if jobs = jobs[n:]; len(jobs) > 0 {
			short++
		}
		<-s.outbox.ready
		outcomes, _ = s.outbox.take(outcomes[:0])
		s.wakeHungry()
		seen += len(outcomes)
	}
	if short == 0 {
		t.Error("no Offer was short")
	}
	s.inbox.finish()
	s.wake()
	running.Wait()
	if n, err := s.inbox.offer(make([]Job, 1)); n != 0 || !errors.Is(err, ErrStopped) {
		t.Errorf("got %d, %v after the end; want ErrStopped", n, err)
	}
}
