package workers

import (
	"context"
	"fmt"
	"os"
)

// Example adds up 1 to 9 in three processes. Here the environment makes a process of this binary a worker; a program with
// commands has Args for it. The worker calls Serve, sends each partial sum, and its sum by Finish.
func Example() {
	shares := []string{"1 2 3", "4 5 6", "7 8 9"}
	g, err := Start(context.Background(), Options{
		Count:      len(shares),
		Env:        workerEnv(),
		Stderr:     os.Stderr,
		Assignment: func(worker int) ([]byte, error) { return []byte("sum " + shares[worker]), nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	partial := 0
	ends := g.Wait(func(e Event) {
		switch e := e.(type) {
		case Message:
			if !e.Final {
				partial++
			}
		case Death:
			fmt.Println("worker", e.Worker, e.Err) // its share is lost, and has to be told so
		}
	})
	for _, end := range ends {
		fmt.Printf("worker %d: %s\n", end.Worker, end.Last)
	}
	fmt.Println(partial, "partial sums")
	// Output:
	// worker 0: 6
	// worker 1: 15
	// worker 2: 24
	// 9 partial sums
}

func ExampleSplit() {
	fmt.Println(Split(50_000, 19_872))
	// Output: [16667 16667 16666]
}
