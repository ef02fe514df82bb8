package api

import (
	"bytes"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/krazycam/krazycam/farend/store"
)

// A contract is openapi.json, against which answers are checked.
type contract struct {
	routes   []route
	document map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex // guards schemas
	schemas map[string]*jsonschema.Schema
}

const documentURL = "https://krazycam.example/openapi.json"

func readContract(t *testing.T) *contract {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(documentURL, document); err != nil {
		t.Fatal(err)
	}
	return &contract{document: document.(map[string]any), compiler: c, schemas: map[string]*jsonschema.Schema{}}
}

// unescape and escape are of JSON pointers (RFC 6901).
var (
	unescape = strings.NewReplacer("~1", "/", "~0", "~")
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
)

// at follows names from the top of the document, and references on the way; where is the pointer to what
// it finds.
func (c *contract) at(names ...string) (value map[string]any, where string) {
	value = c.document
	for _, name := range names {
		value, _ = value[name].(map[string]any)
		where += "/" + escape.Replace(name)
		if reference, ok := value["$ref"].(string); ok {
			value, where = c.follow(reference)
		}
	}
	return value, where
}

func (c *contract) follow(reference string) (value map[string]any, where string) {
	return c.at(namesOf(strings.TrimPrefix(reference, "#"))...)
}

func namesOf(pointer string) []string {
	names := strings.Split(strings.Trim(pointer, "/"), "/")
	for i := range names {
		names[i] = unescape.Replace(names[i])
	}
	return names
}

// operation finds what the document says of a request; template is its path there.
func (c *contract) operation(method, requested string) (template string, operation map[string]any) {
	paths, _ := c.at("paths")
	best := -1
	for t, item := range paths {
		literal, ok := matchPath(t, requested)
		if ok && literal > best { // a path without parameters goes before one with them
			template, best = t, literal
			operation, _ = item.(map[string]any)[strings.ToLower(method)].(map[string]any)
		}
	}
	return template, operation
}

// matchPath says whether a path fits a template, and how much of it is literal.
func matchPath(template, requested string) (literal int, ok bool) {
	want, got := strings.Split(template, "/"), strings.Split(requested, "/")
	if len(want) != len(got) {
		return 0, false
	}
	for i, one := range want {
		before, rest, isParameter := strings.Cut(one, "{")
		_, after, _ := strings.Cut(rest, "}")
		switch {
		case !isParameter && one != got[i]:
			return 0, false
		case isParameter && (!strings.HasPrefix(got[i], before) || !strings.HasSuffix(got[i], after)):
			return 0, false
		}
		literal += len(before) + len(after)
	}
	return literal, true
}

// check checks an answer: its status, headers and body must be in the document.
func (c *contract) check(t *testing.T, r *http.Request, got *http.Response, body []byte) {
	t.Helper()
	if r.Method == http.MethodHead {
		return // it is a GET without a body
	}
	requested := strings.TrimPrefix(r.URL.EscapedPath(), Prefix)
	template, operation := c.operation(r.Method, requested)
	if operation == nil {
		if got.StatusCode != http.StatusNotFound && got.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s answers %d and is not in openapi.json", r.Method, requested, got.StatusCode)
		}
		c.validate(t, r, []string{"components", "schemas", "Problem"}, body)
		return
	}
	response, where := c.at("paths", template, strings.ToLower(r.Method), "responses", strconv.Itoa(got.StatusCode))
	if response == nil {
		t.Errorf("%s %s answers %d (%.200s), which openapi.json does not have", r.Method, template,
			got.StatusCode, body)
		return
	}
	headers, _ := response["headers"].(map[string]any)
	for name := range headers {
		if got.Header.Get(name) == "" && got.StatusCode != 503 {
			t.Errorf("%s %s answers %d without the header %s", r.Method, template, got.StatusCode, name)
		}
	}
	content, _ := response["content"].(map[string]any)
	kind, _, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	switch {
	case content == nil && len(body) > 0:
		t.Errorf("%s %s answers %d with %.100s, want nothing", r.Method, template, got.StatusCode, body)
	case content != nil && content[kind] == nil:
		t.Errorf("%s %s answers %d with %q, which openapi.json does not have", r.Method, template, got.StatusCode, kind)
	case strings.HasSuffix(kind, "json"):
		c.validate(t, r, append(namesOf(where), "content", kind, "schema"), body)
	}
}

func (c *contract) validate(t *testing.T, r *http.Request, names []string, body []byte) {
	t.Helper()
	_, where := c.at(names...)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Errorf("%s %s: %v: %.200s", r.Method, r.URL, err, body)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	schema := c.schemas[where]
	if schema == nil {
		if schema, err = c.compiler.Compile(documentURL + "#" + where); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		c.schemas[where] = schema
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s %s answers what openapi.json does not allow: %v\n%.500s", r.Method, r.URL, err, body)
	}
}

// TestOpenAPIHasEveryRouteAndNoOther compares both ways, and asks each path of the file.
func TestOpenAPIHasEveryRouteAndNoOther(t *testing.T) {
	b := newBench(t)
	has := map[string]bool{}
	paths, _ := b.contract.at("paths")
	for template, item := range paths {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				has[strings.ToUpper(method)+" "+template] = true
			}
		}
	}
	for _, r := range b.contract.routes {
		if !has[r.method+" "+r.path] {
			t.Errorf("%s %s is not in openapi.json", r.method, r.path)
		}
		delete(has, r.method+" "+r.path)
	}
	for operation := range has {
		t.Errorf("openapi.json has %s, and no route does it", operation)
	}
	for template, item := range paths {
		for method := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			asked := strings.NewReplacer("{id}", "1", "{name}", "x").Replace(template)
			got := b.ask(b.admin, strings.ToUpper(method), asked, "")
			if bytes.Contains(got.body, []byte("no-route")) || got.status == http.StatusMethodNotAllowed {
				t.Errorf("%s %s answers %d %s", method, template, got.status, got.body)
			}
		}
	}
}

// Names of parameters in the file are those that handlers read.
func TestOpenAPIHasEveryParameter(t *testing.T) {
	b := newBench(t)
	paths, _ := b.contract.at("paths")
	for template, item := range paths {
		get, ok := item.(map[string]any)["get"].(map[string]any)
		if !ok || strings.Contains(template, "{") || template == "/openapi.json" || template == "/me" {
			continue
		}
		var has []string
		list, _ := get["parameters"].([]any)
		for _, one := range list {
			p := one.(map[string]any)
			if reference, ok := p["$ref"].(string); ok {
				p, _ = b.contract.follow(reference)
			}
			has = append(has, p["name"].(string))
		}
		p := b.problem(400, "unknown-parameter", b.admin, "GET", template+"?unknown=1", "")
		_, listed, _ := strings.Cut(p.Detail, "there are ")
		takes := strings.FieldsFunc(listed, func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(has)
		slices.Sort(takes)
		if !slices.Equal(has, takes) {
			t.Errorf("%s: openapi.json has parameters %v, the handler takes %v", template, has, takes)
		}
	}
}

// Members that may be sent are those of the file.
func TestOpenAPIHasEveryMember(t *testing.T) {
	c := readContract(t)
	for name, takes := range map[string]fields{
		"NewCustomer": customerFields(&store.Customer{}), "CustomerChange": customerFields(&store.Customer{}),
		"SourceChange": sourceFields(&store.Source{}),
	} {
		has, _ := c.at("components", "schemas", name, "properties")
		if got, want := slices.Sorted(maps.Keys(has)), slices.Sorted(maps.Keys(takes)); !slices.Equal(got, want) {
			t.Errorf("%s has members %v in openapi.json, the handler takes %v", name, got, want)
		}
	}
}
