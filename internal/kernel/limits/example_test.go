package limits_test

import (
	"fmt"

	"sonde/internal/kernel/limits"
)

// A run asks for 5,000 connections in flight from two source addresses and takes what the machine allows.
func ExampleLimits_FDBudget() {
	machine := limits.Limits{
		Files: limits.Files{
			Soft: 1024, Hard: 1024, InUse: 12,
			PerProcess: limits.Unknown, System: limits.Unknown, SystemInUse: limits.Unknown,
		},
		Ports: limits.Ports{First: 32768, Last: 60999},
	}
	fmt.Println("in flight:", min(5000, machine.FDBudget(limits.FDReserve)))
	fmt.Println("at one destination:", machine.PortBudget(2))
	// Output:
	// in flight: 884
	// at one destination: 56464
}
