package timewheel_test

import (
	"fmt"
	"time"

	"sonde/internal/timewheel"
)

// A loop's use of the wheel: rows have limits, the timer is armed to Next, and what has expired is handled.
func Example() {
	now := int64(time.Second)
	wheel := timewheel.New(now)
	wheel.Set(7, now+int64(3500*time.Millisecond)) // row 7 may connect for 3.5 s
	wheel.Set(8, now+int64(5*time.Second))
	wheel.Set(7, now+int64(5*time.Second)) // row 7 is connected and may handshake for 5 s
	wheel.Cancel(8)                        // row 8 is done

	var expired []uint32
	for wheel.Len() > 0 {
		now, _ = wheel.Next() // the loop sleeps
		expired = wheel.Advance(now, expired[:0])
		for _, row := range expired {
			fmt.Println("row", row, "at", time.Duration(now))
		}
	}
	// Output: row 7 at 6s
}
