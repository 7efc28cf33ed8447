package usage

// sonde needs epoll or kqueue. On Windows it runs inside WSL 2, which is Linux. The undefined name below stops the build
// with this message.
var _ = sonde_does_not_run_on_Windows_use_WSL2
