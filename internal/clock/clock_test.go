package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewSystem()
		first := c.Now()
		if first <= 0 {
			t.Errorf("got moment %d, want above 0: 0 means none", first)
		}
		wall := time.Now()
		time.Sleep(1500 * time.Millisecond)
		if got, want := c.Now()-first, int64(1500*time.Millisecond); got != want {
			t.Errorf("got %d ns later, want %d", got, want)
		}
		if got := c.Wall(first); !got.Equal(wall) || got.Location() != time.UTC {
			t.Errorf("got %v, want %v in UTC", got, wall)
		}
		if got, want := c.Wall(c.Now()), wall.Add(1500*time.Millisecond); !got.Equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
