package target_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"sonde/target"
)

func ExampleOpen() {
	ports, err := target.ParsePorts("80,8080")
	if err != nil {
		fmt.Println(err)
		return
	}
	exclude := new(target.Set)
	if err := exclude.Add("10.0.0.8/29"); err != nil {
		fmt.Println(err)
		return
	}
	inputs, err := target.Open(target.Options{
		Args:    []string{"10.1.0.0/30:22", "example.com"},
		Files:   []string{"-"},
		Stdin:   strings.NewReader("10.0.0.7,,db,\n10.0.0.300\n10.0.0.9\n"),
		Ports:   ports,
		Probes:  []target.Choice{{Name: "tcp"}},
		Exclude: exclude,
		Seed:    1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer inputs.Close()
	var t target.Target
	for {
		var bad *target.InputError
		err := inputs.Next(&t)
		switch {
		case err == io.EOF:
			return
		case errors.As(err, &bad):
			fmt.Println(bad)
		case err != nil:
			fmt.Println(err)
			return
		case t.Addr.IsValid():
			fmt.Printf("%v %q\n", netip.AddrPortFrom(t.Addr, t.Port), t.Tag)
		default:
			fmt.Println(t.Domain, t.Port)
		}
	}
	// Output:
	// example.com 80
	// example.com 8080
	// 10.0.0.7:80 "db"
	// 10.0.0.7:8080 "db"
	// stdin:2: "10.0.0.300": not an address or a host name (hint: an IPv4 address is four numbers of 0 to 255 without leading zeros)
	// stdin:3: "10.0.0.9": the address is on the exclusion list
	// 10.1.0.1:22 ""
	// 10.1.0.2:22 ""
	// 10.1.0.0:22 ""
	// 10.1.0.3:22 ""
}

func ExampleSet() {
	var never target.Set
	never.AddReserved()
	if err := never.Add("example.com"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(never.Contains(netip.MustParseAddr("192.168.1.1")), never.Contains(netip.MustParseAddr("1.1.1.1")))
	fmt.Println(never.ContainsName("Example.COM."), never.ContainsName("www.example.com"))
	// Output:
	// true false
	// true false
}

func ExampleParsePorts() {
	fmt.Println(target.ParsePorts("443,80,8000-8100,8050"))
	// Output: [80 443 8000-8100] <nil>
}

func ExampleResolver() {
	resolver := target.NewResolver(target.ResolverOptions{
		Lookup: func(_ context.Context, _, _ string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		},
	})
	answered := make(chan netip.Addr)
	err := resolver.Submit(context.Background(), "example.com", target.IPv4,
		func(addrs []netip.Addr, _ time.Duration, err error) {
			if err == nil {
				answered <- addrs[0]
			}
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-answered)
	resolver.Close()
	// Output: 192.0.2.1
}
