package engine

import (
	"context"
	"runtime/trace"
)

// tracing tells an execution trace (package runtime/trace) which phase of its turn a loop is in: a task for each loop's run,
// with a region for each phase of each batch. While nobody traces it costs one look at a flag a batch.
type tracing struct {
	ctx    context.Context // the task's; nil before begin
	task   *trace.Task     // nil if nobody traced when the loop began
	region *trace.Region   // the current phase; nil between batches and while nobody traces
	on     bool            // this batch is traced
}

// begin is called when the loop begins, end when it has ended.
func (t *tracing) begin() {
	t.ctx = context.Background()
	if trace.IsEnabled() {
		t.ctx, t.task = trace.NewTask(t.ctx, "loop")
	}
}

func (t *tracing) end() {
	if t.task != nil {
		t.task.End()
	}
}

// batch begins a batch with its first phase.
func (t *tracing) batch(first string) {
	if t.on = trace.IsEnabled(); t.on {
		t.region = trace.StartRegion(t.ctx, first)
	}
}

// next ends a phase and begins the next one.
func (t *tracing) next(name string) {
	if t.on {
		t.region.End()
		t.region = trace.StartRegion(t.ctx, name)
	}
}

// batchEnd ends the batch's last phase.
func (t *tracing) batchEnd() {
	if t.on {
		t.region.End()
		t.region = nil
	}
}
