// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/problem"
)

const about = "ADIT (Automated DICOM Transfer) moves DICOM studies between servers and folders, and pseudonymizes " +
	"them on the way. This API does all that its commands do.\n\n" +
	"Send an API token in the header `Authorization` (`Token` or `Bearer`, then the token), or log in with " +
	"`POST /session` and keep the cookie. Some changes need a session whose password was given within ten minutes; " +
	"`password_needed` says so.\n\n" +
	"Every error is problem+json (RFC 9457): `code` is for programs, `detail` is for people and says what to do now. " +
	"Something that belongs to somebody else answers 404, as if it did not exist. An address answers 405 to a method " +
	"that it does not have and names those that it has in `Allow`; HEAD works wherever GET does. Headers of more than " +
	"32 KiB answer 431, as plain text.\n\n" +
	"Lists come in pages: give `next_cursor` of one page as `cursor` to get the next. Times are in RFC 3339. Unknown " +
	"parameters and properties are refused."

// information is what the document says of the API as a whole.
func information(cfg *huma.Config) {
	cfg.Info.Description = about
	cfg.Info.Contact = &huma.Contact{Name: "ADIT", URL: "https://github.com/adit-go/adit"}
	cfg.Info.License = &huma.License{
		Name: "AGPL-3.0-or-later", URL: "https://www.gnu.org/licenses/agpl-3.0.html",
	}
	cfg.Servers = []*huma.Server{{URL: "/", Description: "The ADIT that serves this document."}}
}

// refusals say of each status in which an operation can fail what it means, in general and in an example.
var refusals = map[int]struct{ means, example string }{
	400: {
		"The request can't be read: its body is cut off or badly encoded, its address is not valid text, or two " +
			"headers contradict each other.",
		"The body of the request ended too early, or is badly encoded; send it again.",
	},
	401: {
		"Nobody is logged in: there is no valid token or session, or the password is wrong.",
		"Log in, or give a valid API token.",
	},
	403: {
		"The caller may not do this, the password has to be given again (`password_needed`), or a page of another " +
			"site sent the request.",
		"You need staff rights for this.",
	},
	404: {"It does not exist, or it is somebody else's.", "Job 4711 was not found."},
	408: {
		"The body came too slowly.",
		"The body of the request came too slowly; send it again, over a faster connection.",
	},
	409: {
		"It can't be done as things are now; `detail` says what is in the way.",
		"Job 4711 is In Progress; only a canceled job can be resumed.",
	},
	412: {
		"Somebody changed it after the version that `If-Match` names; nothing was done.",
		"Somebody changed this after you read it, and nothing was done; get it again, and repeat your change.",
	},
	413: {
		"The body is too large, or holds too many values.",
		"The body of the request is larger than this address takes; send less at once, in several requests.",
	},
	415: {
		"The body is in a form that is not taken here: another media type, another character set than UTF-8, or " +
			"compressed.",
		"The header Content-Type names a form of the body that is not taken here. Send JSON, with Content-Type: " +
			"application/json.",
	},
	421: {
		"ADIT is not served under the host name of this request.",
		"ADIT is not served under this name. Use https://adit.example.org.",
	},
	422: {
		"A parameter or a property has a value that can't be used; `errors` says which.",
		"The request can't be used: limit: expected number <= 500.",
	},
	426: {
		"The address speaks WebSocket only.",
		"This address speaks WebSocket; connect to it with a client for that.",
	},
	429: {
		"Too many requests at once or within a time; `Retry-After` says when to try again.",
		"You have too many requests at once; wait until some are answered.",
	},
	500: {
		"ADIT failed by a fault of its own; the log has more under `request_id`.",
		"ADIT failed to do this, by a fault of its own. Tell your administrator the request's name " +
			"KZQXK2LRNVUWG2DBMVWC4IDMNB; the log says more.",
	},
	502: {
		"A DICOM server refused, or answered something that can't be used.",
		"DICOM Server PACS refused the search with status A700 (out of resources).",
	},
	503: {
		"ADIT, its database or a DICOM server can't do this now, or ADIT is under maintenance; `Retry-After` says " +
			"when to try again, if that is known.",
		"ADIT's database doesn't answer. Nothing is lost; try again in a moment, and tell your administrator if it " +
			"lasts.",
	},
}

// refusalExample is a problem as it is sent with a status.
func refusalExample(status int) any {
	p := problem.New(status, refusals[status].example)
	switch status {
	case http.StatusUnprocessableEntity:
		p.Errors = []client.FieldError{{Field: "limit", Message: "expected number <= 500"}}
	case http.StatusInternalServerError:
		p.RequestID = "KZQXK2LRNVUWG2DBMVWC4IDMNB"
	case http.StatusServiceUnavailable:
		p = p.Kind(client.CodeDatabaseUnavailable)
	}
	text, err := json.Marshal(&p.Problem)
	if err != nil {
		panic(err) // it holds texts and numbers
	}
	return json.RawMessage(text)
}

// responseName names the response of a status among the components.
func responseName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// refusalResponses are the responses that operations share.
func refusalResponses() map[string]*huma.Response {
	all := map[string]*huma.Response{}
	for status, r := range refusals {
		headers := map[string]*huma.Header{"X-Request-ID": {Ref: "#/components/headers/X-Request-ID"}}
		switch status {
		case http.StatusUnauthorized:
			headers["WWW-Authenticate"] = header("How to say who is calling.", huma.TypeString, `Token realm="ADIT"`)
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			headers["Retry-After"] = header("Seconds after which to try again; absent if that is not known.",
				huma.TypeInteger, 2)
		}
		all[responseName(status)] = &huma.Response{
			Description: r.means, Headers: headers,
			Content: map[string]*huma.MediaType{problem.Type: {
				Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}, Example: refusalExample(status),
			}},
		}
	}
	return all
}

func header(says, kind string, example any) *huma.Header {
	return &huma.Header{Description: says, Schema: &huma.Schema{Type: kind}, Example: example}
}

// failures are the statuses in which an operation can fail, besides those that its route names.
func failures(op *huma.Operation) []int {
	list := append([]int{400, 421, 422, 500, 503}, op.Errors...)
	if op.Security == nil { // for callers who are known, each of whom may have so many requests at once
		list = append(list, 401, 429)
	}
	if op.Method != http.MethodGet { // which pages of other sites may not send
		list = append(list, 403)
	}
	if op.RequestBody != nil {
		list = append(list, 408, 413, 415, 429)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Document returns the document of the API, once all routes are there.
func (s *Set) Document() ([]byte, error) {
	doc := s.OpenAPI()
	complete(doc)
	return json.MarshalIndent(doc, "", "  ")
}

// complete adds what huma does not write about the operations: in which statuses they fail, and examples.
func complete(doc *huma.OpenAPI) {
	doc.Components.Responses = refusalResponses()
	doc.Components.Headers = map[string]*huma.Header{
		"X-Request-ID": header("Names the request in the log of ADIT.", huma.TypeString, "KZQXK2LRNVUWG2DBMVWC4IDMNB"),
	}
	for _, op := range Operations(doc) {
		for _, r := range op.Responses {
			delete(r.Headers, "Content-Type") // which the content says
			if r.Headers == nil {
				r.Headers = map[string]*huma.Header{}
			}
			for _, h := range r.Headers {
				if h.Schema != nil {
					h.Description = h.Schema.Description
				}
			}
			r.Headers["X-Request-ID"] = &huma.Header{Ref: "#/components/headers/X-Request-ID"}
		}
		for _, status := range failures(op) {
			op.Responses[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + responseName(status)}
		}
		addExamples(doc.Components.Schemas, op)
	}
}

// Operations returns all operations of a document, by path and method.
func Operations(doc *huma.OpenAPI) []*huma.Operation {
	var all []*huma.Operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				all = append(all, op)
			}
		}
	}
	return all
}

// ExampleKey is where an operation keeps the example that its route gives.
const ExampleKey = "example"

// addExamples gives examples of what an operation takes and answers: what the route gives for the body, or else for the
// answer, and what the schemas say of their properties.
func addExamples(schemas huma.Registry, op *huma.Operation) {
	given, _ := op.Metadata[ExampleKey].(string)
	if op.RequestBody != nil {
		for mediaType, content := range op.RequestBody.Content {
			content.Example = exampleOf(schemas, mediaType, content, given, false)
			given = ""
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		for mediaType, content := range r.Content {
			content.Example = exampleOf(schemas, mediaType, content, given, true)
		}
	}
}

func exampleOf(schemas huma.Registry, mediaType string, content *huma.MediaType, given string, answer bool) any {
	switch {
	case mediaType == Workbook, mediaType == Zipped: // no text
		return nil
	case !strings.HasSuffix(mediaType, "json"):
		content.Schema = &huma.Schema{Type: huma.TypeString}
		return given
	case given != "":
		return json.RawMessage(given)
	}
	return examples{schemas, answer}.of(content.Schema)
}

// examples puts an example together from those of the properties.
type examples struct {
	schemas huma.Registry
	answer  bool // all properties; otherwise those that have to be given
}

func (e examples) of(s *huma.Schema) any {
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Ref != "":
		return e.of(e.schemas.SchemaFromRef(s.Ref))
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Default != nil:
		return s.Default
	case s.Format == "date-time":
		return "2026-11-23T08:15:30Z"
	}
	switch s.Type {
	case huma.TypeArray:
		return []any{e.of(s.Items)}
	case huma.TypeObject:
		return e.ofObject(s)
	case huma.TypeInteger, huma.TypeNumber:
		return max(1, value(s.Minimum))
	case huma.TypeBoolean:
		return false
	}
	return ""
}

func (e examples) ofObject(s *huma.Schema) any {
	out := map[string]any{}
	for name, property := range s.Properties {
		if e.answer && !property.WriteOnly || slices.Contains(s.Required, name) && !property.ReadOnly {
			out[name] = e.of(property)
		}
	}
	return out
}

func value(n *float64) float64 {
	if n == nil {
		return 0
	}
	return *n
}
