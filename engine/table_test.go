package engine

import (
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

// TestRowsHoldNoPointer proves that the garbage collector has nothing to scan in a table of a million connections.
func TestRowsHoldNoPointer(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[row](), reflect.TypeFor[flight]()} {
		if path := pointerIn(typ, typ.Name()); path != "" {
			t.Errorf("%s holds a pointer", path)
		}
	}
	if path := pointerIn(reflect.TypeFor[Outcome](), "Outcome"); path == "" {
		t.Error("the check finds no pointer in Outcome, which holds one: it can't fail")
	}
}

func pointerIn(t reflect.Type, path string) string {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64:
		return ""
	case reflect.Array:
		return pointerIn(t.Elem(), path+"[]")
	case reflect.Struct:
		for i := range t.NumField() {
			if p := pointerIn(t.Field(i).Type, path+"."+t.Field(i).Name); p != "" {
				return p
			}
		}
		return ""
	}
	return fmt.Sprintf("%s (%s)", path, t)
}

// TestIdleRowIsSmall holds the memory of a kept connection: its row, beside its node of the wheel and its entry in the
// poller's table (8 bytes).
func TestIdleRowIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(row{}); size > 72 {
		t.Errorf("a row is %d bytes, want at most 72", size)
	}
}

func TestStaleTokens(t *testing.T) {
	var tb table
	slot := tb.insert(1, socket.Addr{}, 0)
	tb.rows[slot].fd, tb.rows[slot].state = 7, Connecting
	first := tb.token(slot)
	if got, ok := tb.find(first); !ok || got != slot {
		t.Fatalf("got slot %d, %v; want %d, true", got, ok, slot)
	}
	tb.remove(slot)
	if _, ok := tb.find(first); ok {
		t.Error("the token of a removed row is still good")
	}
	again := tb.insert(2, socket.Addr{}, 0)
	if again != slot {
		t.Fatalf("got slot %d, want slot %d to be used again", again, slot)
	}
	tb.rows[slot].fd, tb.rows[slot].state = 7, Connecting
	if _, ok := tb.find(first); ok {
		t.Error("the token of the slot's earlier use is still good")
	}
	if _, ok := tb.find(poller.MakeToken(99, 1)); ok {
		t.Error("a slot beyond the table is found")
	}
}

func TestTableUsesSeatsAgain(t *testing.T) {
	var tb table
	slots := make([]uint32, 10)
	for range 5 {
		for i := range slots {
			slots[i] = tb.insert(uint64(i), socket.Addr{}, 0)
		}
		for _, s := range slots {
			tb.remove(s)
		}
	}
	if len(tb.rows) != 10 || len(tb.flights) != 10 || tb.live != 0 {
		t.Errorf("got %d rows, %d flights, %d live; want 10, 10, 0", len(tb.rows), len(tb.flights), tb.live)
	}
}

func TestTableDoesNotAllocate(t *testing.T) {
	var tb table
	for range 100 {
		defer tb.remove(tb.insert(0, socket.Addr{}, 0))
	}
	tb.remove(tb.insert(0, socket.Addr{}, 0))
	if n := testing.AllocsPerRun(100, func() { tb.remove(tb.insert(1, socket.Addr{}, 0)) }); n != 0 {
		t.Errorf("got %v allocations for a connection, want 0", n)
	}
}

func BenchmarkTable(b *testing.B) {
	var tb table
	for range 10000 {
		tb.insert(0, socket.Addr{}, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		slot := tb.insert(1, socket.Addr{}, 0)
		tb.rows[slot].fd, tb.rows[slot].state = 3, Connecting
		if _, ok := tb.find(tb.token(slot)); !ok {
			b.Fatal("lost")
		}
		tb.remove(slot)
	}
}
