package main

import "sonde/internal/words"

// nearest returns that of list which word was most likely meant to be, or "" if none is near.
func nearest(word string, list []string) string { return words.Nearest(word, list) }

// didYouMean is the hint that names near; "" for "".
func didYouMean(near string) string {
	if near == "" {
		return ""
	}
	return "did you mean " + near + "?"
}
