// SPDX-License-Identifier: AGPL-3.0-or-later

// Package client speaks to an ADIT server by its REST API. It owns the types of requests and responses that the server
// serves under /api/v1, so that both sides always agree.
//
// A Client's fields are the resources of the server: c.Jobs.List(ctx, …), c.Nodes.Check(ctx, …). What concerns its own
// session (LogIn, LogOut) are methods of the Client itself.
//
// A Client is safe for concurrent use. Lists and searches are iterators that ask for one page after the other.
//
// # Errors
//
// Refusals of the server are *Problem, with a Code for programs; IsCode tells them apart. A server that gives no answer
// is an *UnreachableError, and an answer that breaks off a *BrokenAnswerError: what has come of a download until then
// is never the whole. The session of a client that LogIn made may end: its calls then fail with a *SessionEndedError.
//
// # Networks that are lost
//
// A call is sent again by itself for a while (WithPatience) when the server asks for it (429 and 503 with Retry-After),
// and when the connection is lost:
//
//   - what reads: lists, searches and downloads of which nothing was written yet. An iterator goes on where it was.
//   - what may be done twice: a change (PATCH, PUT) and a deletion, which both say how things are to be. If it was done
//     already, deleting is a success; a change that is then refused is a *LostAnswerError.
//   - making a job, which has an idempotency key.
//   - whatever surely didn't reach the server.
//
// All else, such as the retry of a job or a new token, fails with an *UnreachableError, whose MaybeDone says whether
// the server may have done it. A server that has not answered this client yet is not waited for if its address is
// wrong, or nobody listens there.
package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// defaultPatience outlasts a network that is away for 20 s, as during the failover of a switch, of which a connection
// needs as long again to notice the end, and a restart of ADIT with its database. It is short enough for a person to
// wait for the error.
const defaultPatience = time.Minute

const jsonLines = "application/jsonl"

// maxProblem is the most bytes of a refusal that are read.
const maxProblem = 1 << 20

// caller sends requests to one server.
type caller struct {
	base     *url.URL
	token    string
	agent    string
	patience time.Duration
	notice   func(err error, in time.Duration)
	http     *http.Client
	session  bool         // the client of a session
	known    *atomic.Bool // ADIT has answered at this address
}

// Option changes how New makes a client.
type Option func(*Client)

// WithToken sets the API token: 40 hexadecimal characters.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithUserAgent sets the User-Agent header; "adit-go-client" by default.
func WithUserAgent(agent string) Option { return func(c *Client) { c.agent = agent } }

// WithPatience says for how long after its first failure one call is sent again, where that can do no harm: when the
// server asks to try later (429 and 503 with Retry-After), and when the network is lost. It is a minute by default; 0
// sends nothing twice. A server that asks to wait longer is not waited for: its *Problem is returned at once.
func WithPatience(d time.Duration) Option { return func(c *Client) { c.patience = d } }

// WithNotice has a function told of each failure after which a call is sent again: why, and in which time. It is called
// from the goroutine of the call.
func WithNotice(notice func(err error, in time.Duration)) Option {
	return func(c *Client) { c.notice = notice }
}

// WithHTTPClient sets what sends the requests, for proxies or certificates of one's own.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// New returns a client for the server at an address such as http://127.0.0.1:8080.
func New(server string, opts ...Option) (*Client, error) {
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("this is not the address of a server; an address looks like http://127.0.0.1:8080")
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	c := newClient(&caller{
		base: base, agent: "adit-go-client", patience: defaultPatience, known: &atomic.Bool{},
		notice: func(error, time.Duration) {},
	})
	for _, opt := range opts {
		opt(c)
	}
	if c.http == nil {
		c.http = &http.Client{Transport: newTransport(), CheckRedirect: sameHost}
	}
	return c, nil
}

// sameHost keeps the token from being sent elsewhere.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Host != via[0].URL.Host || len(via) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

// request is a call to be made.
type request struct {
	method, path string
	query        url.Values
	body         any // as JSON, unless it is a rawBody
	header       http.Header
	repeatable   bool  // may be sent again although the server may have taken it
	reads        bool  // changes nothing
	gone         []int // statuses of the answer to what was done already
}

// Versioned is a part of what people edit: it names the version that was read.
type Versioned struct {
	ETag string `json:"-"` // for IfMatch; empty in lists
}

func (v *Versioned) versioned(etag string) { v.ETag = etag }

// Condition restricts when a change is made.
type Condition func(*request)

// IfMatch has a change made only to the version that was read. If somebody has made another one of it meanwhile,
// nothing is changed, and the error is a *Problem with CodeChangedMeanwhile.
func IfMatch(etag string) Condition {
	return func(rq *request) { rq.header = http.Header{"If-Match": {etag}} }
}

func (rq request) only(conditions []Condition) request {
	for _, c := range conditions {
		c(&rq)
	}
	return rq
}

// rawBody goes out as it is.
type rawBody struct {
	contentType string
	bytes       []byte
}

func get(path string, query url.Values) request {
	return request{method: http.MethodGet, path: path, query: query, repeatable: true, reads: true}
}

// Problem is a refusal of the server (RFC 9457). It holds no patient values.
type Problem struct {
	Type      string       `json:"type" format:"uri" doc:"urn:adit:problem: and the code." example:"urn:adit:problem:invalid"`
	Title     string       `json:"title" doc:"The HTTP status in words." example:"Unprocessable Entity"`
	Status    int          `json:"status" doc:"The HTTP status." example:"422"`
	Detail    string       `json:"detail,omitempty" doc:"What happened and what to do now." example:"The request can't be used: limit: expected number <= 500."`
	Code      string       `json:"code" doc:"The kind of problem, for programs; more kinds may come. With password_needed, log in by POST /session, or confirm the session by POST /session:confirm, and send the request again by that session." example:"invalid"`
	Errors    []FieldError `json:"errors,omitempty" doc:"What is wrong with which part of the request."`
	RequestID string       `json:"request_id,omitempty" doc:"Names the request in the server's log; absent where that adds nothing." example:"KZQXK2LRNVUWG2DBMVWC4IDMNB"`

	// RetryAfter is how long the server asks to wait before trying again, 0 if it says nothing.
	RetryAfter time.Duration `json:"-"`

	foreign bool // not of ADIT: of a proxy, or of another program
}

// Codes of problems. They stay what they are.
const (
	CodeBusy                 = "busy"                   // ADIT, or a server, has too much to do at once
	CodeChangedMeanwhile     = "changed_meanwhile"      // it has another ETag than If-Match says
	CodeConflict             = "conflict"               // not as things are now
	CodeDatabaseUnavailable  = "database_unavailable"   // ADIT's own database
	CodeForbidden            = "forbidden"              // not by this user
	CodeInternal             = "internal"               // a fault of ADIT's own
	CodeInvalid              = "invalid"                // Errors says what
	CodeLocked               = "locked"                 // staff has locked the section
	CodeMaintenance          = "maintenance"            // staff only for now
	CodeMalformed            = "malformed"              // can't be read
	CodeMethodNotAllowed     = "method_not_allowed"     // Allow says which are
	CodeMisdirected          = "misdirected"            // not under this name
	CodeNotAcceptable        = "not_acceptable"         // an answer in this form
	CodeNotFound             = "not_found"              // or somebody else's
	CodeNotImplemented       = "not_implemented"        // this ADIT doesn't do it
	CodePasswordNeeded       = "password_needed"        // what takes the password again
	CodeServerFailed         = "server_failed"          // a DICOM server refuses, or answers what can't be used
	CodeServerUnavailable    = "server_unavailable"     // a DICOM server doesn't answer, or is closed
	CodeTimeout              = "timeout"                // took too long
	CodeTooLarge             = "too_large"              // the body
	CodeTooMany              = "too_many"               // requests within a time
	CodeUnauthenticated      = "unauthenticated"        // nobody is logged in
	CodeUnsupportedMediaType = "unsupported_media_type" // of the body
	CodeVersionNotSupported  = "version_not_supported"  // of HTTP
	CodeWebSocketOnly        = "websocket_only"         // the address speaks nothing else
)

// FieldError says what is wrong with a part of a request.
type FieldError struct {
	Field   string `json:"field" example:"studies[0].study_instance_uid" doc:"Path of the property, or name of the parameter or the row; empty if it is about the whole request."`
	Message string `json:"message" doc:"What is wrong with it." example:"expected string to be a UID"`
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = fmt.Sprintf("the server answered %d %s", p.Status, p.Title)
	}
	for _, e := range p.Errors {
		if !strings.Contains(text, e.Message) {
			text += fmt.Sprintf("\n  %s: %s", e.Field, e.Message)
		}
	}
	return text
}

// IsCode reports whether an error is, or wraps, a *Problem of one of the codes.
func IsCode(err error, codes ...string) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && slices.Contains(codes, p.Code)
}

// Temporary reports whether the server asks to try again later.
func (p *Problem) Temporary() bool {
	return p.RetryAfter > 0 && (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests)
}

func readProblem(resp *http.Response) error {
	p := &Problem{}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil || json.Unmarshal(body, p) != nil || p.Detail == "" {
		p = &Problem{
			Detail:  fmt.Sprintf("the server answered %s, and not in the way of ADIT; check the address", resp.Status),
			foreign: true,
		}
	}
	p.Status = resp.StatusCode
	if p.Title == "" {
		p.Title = http.StatusText(resp.StatusCode)
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
