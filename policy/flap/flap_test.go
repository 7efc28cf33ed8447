package flap

import "testing"

func TestRiseAndFall(t *testing.T) {
	for _, tt := range []struct {
		rise, fall int
		outcomes   string // + and -
		states     string // u and d, behind each of them
	}{
		{0, 0, "+-+", "udu"},
		{1, 1, "-+-", "dud"},
		{2, 3, "+--+---", "uuuuuud"},
		{2, 3, "-+-++-", "ddddu" + "u"},
		{3, 1, "+-++-+++", "ud" + "dddd" + "du"},
	} {
		var f Flap
		if f.State() != Unknown {
			t.Fatal("something is known of nothing")
		}
		s := Settings{Rise: tt.rise, Fall: tt.fall}
		got, before := "", Unknown
		for _, o := range tt.outcomes {
			changed := f.Record(&s, o == '+')
			if changed != (f.State() != before) {
				t.Errorf("%+v %s: changed %v from %v to %v", s, tt.outcomes, changed, before, f.State())
			}
			before = f.State()
			got += f.State().String()[:1]
		}
		if got != tt.states {
			t.Errorf("%+v %s: got %s, want %s", s, tt.outcomes, got, tt.states)
		}
	}
}

func TestMost(t *testing.T) {
	s := Settings{Rise: 1, Fall: Max}
	var f Flap
	f.Record(&s, true)
	for n := 1; n < Max; n++ {
		if f.Record(&s, false) {
			t.Fatalf("down behind %d", n)
		}
	}
	if !f.Record(&s, false) || f.State() != Down {
		t.Error("not down behind the last")
	}
}

func TestCheck(t *testing.T) {
	for s, ok := range map[Settings]bool{{}: true, {1, Max}: true, {-1, 1}: false, {1, Max + 1}: false} {
		if err := s.Check(); (err == nil) != ok {
			t.Errorf("%+v: got %v", s, err)
		}
	}
}

func TestRestore(t *testing.T) {
	s := Settings{Rise: 1, Fall: 3}
	var f Flap
	for _, success := range []bool{true, false, false} {
		f.Record(&s, success)
	}
	again := Restore(f.State(), f.Run())
	if again != f || !again.Record(&s, false) || again.State() != Down {
		t.Errorf("got %+v of %+v", again, f)
	}
}
