// Package page draws a report of sonde bench: [Write] makes one HTML page that needs nothing from elsewhere, and [Compare]
// one SVG picture of transports side by side. It reads reports and writes to an io.Writer; it measures nothing and keeps
// nothing.
//
// The pictures are SVG, written with github.com/ajstarks/svgo over scales of this package. A plotting library would save
// the scales, but gonum.org/v1/plot parses its fonts when a process starts: 4 MiB more in RAM for each worker, drawn or
// not. A page has no script and forbids any by its own policy, so that words from a report can do nothing in a browser.
package page
