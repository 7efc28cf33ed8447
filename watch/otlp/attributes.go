package otlp

import (
	"errors"
	"net/url"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
)

// attributes is a list of them that grows by its methods.
type attributes []*commonpb.KeyValue

// text adds one that is a text; none that is empty.
func (a attributes) text(name, value string) attributes {
	if value == "" {
		return a
	}
	return append(a, &commonpb.KeyValue{Key: clean(name), Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: clean(value)}}})
}

// int adds one that is a number.
func (a attributes) int(name string, value int64) attributes {
	return append(a, &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}})
}

// set has the text in place of what has its name.
func (a attributes) set(name, value string) attributes {
	for i, kv := range a {
		if kv.Key == name {
			return append(a[:i:i], a[i+1:]...).text(name, value)
		}
	}
	return a.text(name, value)
}

// maxText is how long a text may be, in bytes.
const maxText = 1024

// clean is a text that protobuf takes, which has UTF-8 only. What peers say may be anything.
func clean(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "\uFFFD") }

// pair is a name and a value of the environment.
type pair struct{ name, value string }

// pairs reads "name=value,name=value" with values in percent-encoding: the form of OpenTelemetry's environment variables.
func pairs(text string) (all []pair, err error) {
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || name == "" || err != nil {
			return nil, errors.New(`it is not of the form "name=value,name=value"`) // without the text, which may be a secret
		}
		all = append(all, pair{name, value})
	}
	return all, nil
}
