// Package netpoll is cloudwego/netpoll as a transport: a poller that calls back, on goroutines of a pool.
//
// It is used as its documentation has it, with these choices:
//
//   - DialTCP and not DialConnection, which parses its address and resolves it anew each time. Either way a dial blocks a
//     goroutine until the poller wakes it; where all connections are opened first a few goroutines dial, and end with it.
//   - OnRequest and not a goroutine that blocks in a Reader: no goroutine waits for a connection, as netpoll means it.
//   - The default number of pollers, which is one on machines of less than 20 CPUs, and the default runner, since closing
//     in OnRequest with a runner that calls it at once hangs the poller.
//   - Buffers of 512 bytes, which hold a line; with the default of 4 KiB an idle connection takes three times the memory.
//     A larger payload makes them grow.
//
// netpoll loses the errno of what the network says: a refusal, a reset and an orderly end are all the end of a connection,
// and are counted as connection-closed.
//
// Its pollers and its settings belong to the process: they are made for the first run and stay.
//
// It builds on 64-bit Linux and on macOS only; elsewhere the transport supports nothing and says so.
package netpoll
