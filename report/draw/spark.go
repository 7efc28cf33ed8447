package draw

import "strings"

// Spark is values as one character each, the greatest full height, in at most width columns: the last ones if there are more.
// What is zero is a blank; what is not can be seen.
func Spark(values []float64, width int, ascii bool) string {
	heights := []rune("▁▂▃▄▅▆▇█")
	if ascii {
		heights = []rune(".:-=+*%#")
	}
	values = values[max(len(values)-max(width, 0), 0):]
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	var line strings.Builder
	for _, v := range values {
		if v <= 0 {
			line.WriteByte(' ')
			continue
		}
		line.WriteRune(heights[min(int(v/most*float64(len(heights))), len(heights)-1)])
	}
	return line.String()
}
