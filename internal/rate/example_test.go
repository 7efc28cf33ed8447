package rate_test

import (
	"fmt"
	"time"

	"sonde/internal/rate"
)

// A loop's use of the limiter: it takes the turns that are due and sleeps until the next.
func Example() {
	perSecond, err := rate.Parse("0.002k")
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter := rate.New(perSecond)
	due := make([]int64, 32) // at most so many dials a round
	now := int64(time.Second)
	for range 3 {
		now = limiter.Next(now) // the loop sleeps
		for _, at := range due[:limiter.Take(now, len(due), due)] {
			fmt.Println("dial at", time.Duration(at))
		}
	}
	// Output:
	// dial at 1s
	// dial at 1.5s
	// dial at 2s
}
