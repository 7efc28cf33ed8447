package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sonde/internal/words"
)

// valueError says what is wrong with a flag's value, and how to mend it.
type valueError struct{ text, hint string }

// Error implements error.
func (e *valueError) Error() string { return e.text }

// hintOf returns the hint that err carries, or "".
func hintOf(err error) string {
	var v *valueError
	if errors.As(err, &v) {
		return v.hint
	}
	return ""
}

// The functions below make a flagSpec's set for the usual kinds of value.

func toSwitch(p *bool) func(string) error {
	return func(value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("it is a switch and takes no value")
		}
		*p = b
		return nil
	}
}

func toText(p *string) func(string) error {
	return func(value string) error {
		*p = value
		return nil
	}
}

// toFile takes a name of a file to write; "-" is refused, so that nobody finds a file of that name later.
func toFile(p *string) func(string) error {
	return func(value string) error {
		if value == "" || value == "-" {
			return errors.New("want the name of a file")
		}
		*p = value
		return nil
	}
}

// toList takes each value as one more element, uncut.
func toList(p *[]string) func(string) error {
	return func(value string) error {
		if value == "" {
			return errors.New("it is empty")
		}
		*p = append(*p, value)
		return nil
	}
}

// toCount takes a whole number from least to most.
func toCount[T int | uint64](p *T, least, most T) func(string) error {
	return func(value string) error {
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || n < uint64(least) || n > uint64(most) {
			return fmt.Errorf("want a whole number from %d to %d", least, most)
		}
		*p = T(n)
		return nil
	}
}

// toDuration takes a length of time above zero; a bare number is seconds.
func toDuration(p *time.Duration) func(string) error {
	return func(value string) error {
		d, err := words.ParseDuration(value)
		if err != nil {
			return err
		}
		*p = d
		return nil
	}
}

// toWord takes one of words and stores the value at its place in values.
func toWord[T any](p *T, words []string, values []T) func(string) error {
	return func(value string) error {
		i := slices.Index(words, value)
		if i < 0 {
			return &valueError{"want " + orList(words), didYouMean(nearest(value, words))}
		}
		*p = values[i]
		return nil
	}
}

// toSize takes a number of bytes from 1 to most; a k at its end counts 1024.
func toSize(p *int, most int) func(string) error {
	return func(value string) error {
		number, factor := value, 1
		if n := len(value); n > 0 && (value[n-1] == 'k' || value[n-1] == 'K') {
			number, factor = value[:n-1], 1<<10
		}
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n < 1 || n > uint64(most/factor) {
			return fmt.Errorf("want a number of bytes from 1 to %d (%dk)", most, most>>10)
		}
		*p = int(n) * factor
		return nil
	}
}

// splitList cuts a flag's list at its commas and refuses empty parts.
func splitList(value string) ([]string, error) {
	parts := strings.Split(value, ",")
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
		if parts[i] == "" {
			return nil, errors.New("a part of the list is empty")
		}
	}
	return parts, nil
}

// orList joins words as in "a, b or c".
func orList(list []string) string { return words.Or(list) }
