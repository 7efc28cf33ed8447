package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"sonde/internal/testschema"
)

const (
	schemaFile = "../../docs/watch.schema.json"
	docsFile   = "../../docs/watch-config.md"
)

// validate holds a file against the schema, as an editor does.
func validate(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return s.Validate(testschema.Instance(t, asJSON))
}

// TestSchemaTakes what the loader takes.
func TestSchemaTakes(t *testing.T) {
	s := testschema.Load(t, schemaFile)
	files, _ := filepath.Glob("testdata/good/*.yml")
	examples, _ := filepath.Glob("../../examples/watch/*.yml")
	if len(files) == 0 || len(examples) == 0 {
		t.Fatalf("%d files and %d examples", len(files), len(examples))
	}
	for _, file := range append(files, examples...) {
		if _, err := Load(file); err != nil {
			t.Errorf("%v", err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// wrong are files that have one thing wrong with their shape, each.
var wrong = []string{
	"jobs: []", "modules: []", "modules: {a: x}", "modules: {a: {}}", "modules: {a: {probe: tcp, prober: tcp}}", "modules: {a: {probe: htp}}",
	"modules: {a: {probe: tcp, x: 1}}", "modules: {a: {prober: x}}", "modules: {a: {probe: tcp}}\nx: 1", `modules: {"": {probe: tcp}}`,
	"modules: {a: {probe: tcp, timeout: 5x}}", "modules: {a: {probe: tcp, timeout: -5}}", "modules: {a: {probe: tcp, timeout: [5]}}",
	"modules: {a: {probe: tcp, family: ipv4}}", "modules: {a: {probe: banner, send: [x]}}", "modules: {a: {probe: banner, read_bytes: 65537}}",
	"modules: {a: {probe: banner, read_bytes: x}}", "modules: {a: {probe: http, http: x}}", "modules: {a: {probe: http, http: {x: 1}}}",
	"modules: {a: {probe: http, http: {status: 200}}}", "modules: {a: {probe: http, http: {status: [99]}}}", `modules: {a: {probe: http, http: {status: ["200-"]}}}`,
	"modules: {a: {probe: http, http: {headers: [a]}}}", `modules: {a: {probe: http, http: {headers: {"a b": c}}}}`, `modules: {a: {probe: http, http: {headers: {a: "b\r\nc"}}}}`,
	"modules: {a: {probe: http, tls: {enabled: 1}}}", "modules: {a: {probe: http, tls: {starttls: x}}}", "modules: {a: {probe: http, tls: {alpn: x}}}",
	"modules: {a: {probe: http, tls: {min_version: ssl3}}}", "modules: {a: {probe: http, tls: {min_version: 1.4}}}", "modules: {a: {probe: http, tls: {groups: x25519}}}",
	"modules: {a: {prober: tcp, x: 1}}", "modules: {a: {prober: tcp, fallback: b}}", "modules: {a: {prober: http, http: {x: 1}}}", "modules: {a: {prober: icmp, icmp: {x: 1}}}",
	"modules: {a: {prober: http, http: {valid_status_codes: [20]}}}", "modules: {a: {prober: http, http: {valid_status_codes: [x]}}}",
	"modules: {a: {prober: http, http: {compression: zip}}}", "modules: {a: {prober: http, http: {body_size_limit: 5X}}}", "modules: {a: {prober: http, http: {body_size_limit: -1}}}",
	"modules: {a: {prober: http, http: {fail_if_header_matches: [{header: a}]}}}", "modules: {a: {prober: http, http: {fail_if_header_matches: [{regexp: a}]}}}",
	"modules: {a: {prober: http, http: {preferred_ip_protocol: ip5}}}", "modules: {a: {prober: http, http: {basic_auth: x}}}", "modules: {a: {prober: http, http: {http_headers: {a: b}}}}",
	"modules: {a: {prober: tcp, tcp: {query_response: {}}}}", "modules: {a: {prober: tcp, tcp: {query_response: [{labels: [{name: 1a}]}]}}}", "modules: {a: {prober: tcp, tcp: {query_response: [{labels: [{value: a}]}]}}}",
	"modules: {a: {prober: tcp, tcp: {tls_config: {x: 1}}}}",
	"modules: {a: {probe: tcp}}\njobs: {}", "modules: {a: {probe: tcp}}\njobs: [{module: a, targets: [x]}]", "modules: {a: {probe: tcp}}\njobs: [{name: a, targets: [x]}]",
	"modules: {a: {probe: tcp}}\njobs: [{name: a, module: a}]", "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: x}]",
	"modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], mode: x}]", "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], retries: 101}]",
	"modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], labels: {job: x}}]", "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], labels: {__x: x}}]",
	"modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], labels: {a-b: x}}]", "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], breaker: {window: 65}}]",
	"modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], flap: {rise: 256}}]", "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], thresholds: {x: 1}}]",
	"modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, http_sd: [{}]}]", "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, http_sd: [{url: ftp://x}]}]",
	"modules: {a: {probe: tcp}}\nallow: 10.0.0.0/8", "modules: {a: {probe: tcp}}\nallow: [x]", "modules: {a: {probe: tcp}}\nallow: [fe80::1%eth0]",
	"modules: {a: {probe: tcp}}\nhost_rate: 0", "modules: {a: {probe: tcp}}\nhost_rate: x", "modules: {a: {probe: tcp}}\nsubnet_rate: 100", "modules: {a: {probe: tcp}}\nsubnet_rate: 100/33",
	"modules: {a: {probe: tcp}}\nconnections: 0", "modules: {a: {probe: tcp}}\nloops: 1025", "modules: {a: {probe: tcp}}\nworkers: 0", "modules: {a: {probe: tcp}}\nworkers: some", "modules: {a: {probe: tcp}}\nhistory: 0", "modules: {a: {probe: tcp}}\ndns: {ttl: x}",
	"modules: {a: {probe: tcp}}\nevents: {}", "modules: {a: {probe: tcp}}\nevents: {url: http://x, queue: 0}", "modules: {a: {probe: tcp}}\notlp: {}", "modules: {a: {probe: tcp}}\notlp: {endpoint: x, sample: 2}",
}

// TestSchemaRefuses what the loader refuses for its shape.
func TestSchemaRefuses(t *testing.T) {
	s := testschema.Load(t, schemaFile)
	for _, text := range wrong {
		if _, err := Parse("f.yml", []byte(text)); err == nil {
			t.Errorf("the loader takes %s", text)
		}
		if validate(t, s, []byte(text)) == nil {
			t.Errorf("the schema takes %s", text)
		}
	}
	// Of these, some faults are of the shape.
	files, _ := filepath.Glob("testdata/bad/*.yml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "*nowhere") { // no YAML without it
			data = bytes.ReplaceAll(data, []byte("*nowhere"), nil)
		}
		asJSON, err := yaml.YAMLToJSON(data)
		if err != nil {
			continue // a key comes twice
		}
		if s.Validate(testschema.Instance(t, asJSON)) == nil {
			t.Errorf("the schema takes %s", file)
		}
	}
}

// TestSchemaHasAllKeys: what the loader knows is in the schema, and the other way round, and the page explains it.
func TestSchemaHasAllKeys(t *testing.T) {
	var published struct {
		Properties map[string]any `json:"properties"`
		Defs       map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(testschema.Read(t, schemaFile)), &published); err != nil {
		t.Fatal(err)
	}
	page := testschema.Read(t, docsFile)
	// keys are the properties of an object of the schema.
	keys := func(v any) []string {
		m, _ := v.(map[string]any)
		properties, _ := m["properties"].(map[string]any)
		return slices.Sorted(maps.Keys(properties))
	}
	types := map[string]reflect.Type{
		"own": reflect.TypeFor[Own](), "http": reflect.TypeFor[HTTP](), "tls": reflect.TypeFor[TLS](), "blackbox": reflect.TypeFor[Blackbox](),
		"blackbox_http": reflect.TypeFor[BlackboxHTTP](), "blackbox_tcp": reflect.TypeFor[BlackboxTCP](), "blackbox_tls": reflect.TypeFor[BlackboxTLS](),
		"header_match": reflect.TypeFor[HeaderMatch](), "basic_auth": reflect.TypeFor[BasicAuth](), "authorization": reflect.TypeFor[Authorization](),
		"query_response": reflect.TypeFor[QueryResponse](), "job": reflect.TypeFor[Job](), "breaker": reflect.TypeFor[Breaker](), "flap": reflect.TypeFor[Flap](),
		"thresholds": reflect.TypeFor[Thresholds](), "http_sd": reflect.TypeFor[HTTPSD](),
	}
	theirs := []string{"header_match", "basic_auth", "authorization", "query_response", "blackbox", "blackbox_http", "blackbox_tcp", "blackbox_tls"}
	compare := func(name string, object any, typ reflect.Type) {
		known := slices.Sorted(maps.Keys(fields(typ)))
		if diff := cmp.Diff(known, keys(object)); diff != "" {
			t.Errorf("%s: -loader +schema\n%s", name, diff)
		}
		for _, key := range known {
			if slices.Contains(theirs, name) && !fields(typ)[key].unsupported {
				continue // blackbox_exporter's page explains it
			}
			if !strings.Contains(page, "`"+key+"`") {
				t.Errorf("%s does not explain %s of %s", docsFile, key, name)
			}
		}
	}
	for name, typ := range types {
		compare(name, published.Defs[name], typ)
	}
	compare("the file", map[string]any{"properties": published.Properties}, reflect.TypeFor[Config]())
	compare("dns", published.Properties["dns"], reflect.TypeFor[DNS]())
	compare("events", published.Properties["events"], reflect.TypeFor[Events]())
	compare("otlp", published.Properties["otlp"], reflect.TypeFor[OTLP]())
	for section, f := range fields(reflect.TypeFor[Blackbox]()) {
		if f.typ != reflect.TypeFor[foreign]() {
			continue
		}
		known := strings.Fields(f.tag.Get("keys"))
		slices.Sort(known)
		if diff := cmp.Diff(known, keys(published.Defs["foreign_"+section])); diff != "" {
			t.Errorf("%s: -loader +schema\n%s", section, diff)
		}
	}
}

// TestSchemaDefaults: what the schema calls a default is one: written out, it changes nothing.
func TestSchemaDefaults(t *testing.T) {
	var published struct {
		Defs map[string]struct {
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(testschema.Read(t, schemaFile)), &published); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"own": "modules: {a: {probe: tcp%s}}", "http": "modules: {a: {probe: http, http: {host: x%s}}}", "tls": "modules: {a: {probe: tcp, tls: {server_name: x%s}}}",
		"blackbox_http": "modules: {a: {prober: http, http: {body_file: x%s}}}", "blackbox_tcp": "modules: {a: {prober: tcp, tcp: {tls: false%s}}}",
		"authorization": "modules: {a: {prober: http, http: {authorization: {credentials: x%s}}}}",
		"header_match":  "modules: {a: {prober: http, http: {fail_if_header_matches: [{header: a, regexp: a%s}]}}}",
		"blackbox_tls":  "modules: {a: {prober: tcp, tcp: {tls_config: {server_name: x%s}}}}", "query_response": "modules: {a: {prober: tcp, tcp: {query_response: [{send: x%s}]}}}",
		"job": "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x]%s}]", "breaker": "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], breaker: {~: ~%s}}]",
		"flap":       "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], flap: {~: ~%s}}]",
		"thresholds": "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, targets: [x], thresholds: {~: ~%s}}]",
		"http_sd":    "modules: {a: {probe: tcp}}\njobs: [{name: a, module: a, http_sd: [{url: http://x%s}]}]",
	}
	// These are filled in where they are used.
	later := []string{"max_version", "min_version", "method", "retry_delay", "retry_max_delay", "heartbeat", "tls"}
	print := func(c *Config) [2]uint64 {
		p := [2]uint64{c.Modules[0].Fingerprint}
		if len(c.Jobs) > 0 {
			p[1] = c.Jobs[0].Fingerprint
		}
		return p
	}
	for name, def := range published.Defs {
		for key, raw := range def.Properties {
			var p struct {
				Default any `json:"default"`
			}
			if json.Unmarshal(raw, &p) != nil || p.Default == nil || slices.Contains(later, key) {
				continue
			}
			file := files[name]
			if file == "" {
				t.Errorf("no file for %s.%s", name, key)
				continue
			}
			file = strings.ReplaceAll(file, "{~: ~%s}", "{%s}")
			value, _ := json.Marshal(p.Default)
			said := ", " + key + ": " + string(value)
			if strings.Contains(file, "{%s}") {
				said = said[2:]
			}
			with, err := Parse("f.yml", []byte(strings.Replace(file, "%s", said, 1)))
			if err != nil {
				t.Errorf("%s.%s: %v", name, key, err)
				continue
			}
			without, err := Parse("f.yml", []byte(strings.Replace(file, "%s", "", 1)))
			if err != nil {
				t.Fatal(err)
			}
			if print(with) != print(without) {
				t.Errorf("%s.%s: %s is not its default", name, key, value)
			}
		}
	}
}
