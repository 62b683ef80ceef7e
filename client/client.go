// SPDX-License-Identifier: AGPL-3.0-or-later

// Package client speaks to an ADIT server by its REST API. It owns the types of requests and responses that the server
// serves under /api/v1, so that both sides always agree.
//
// A Client's fields are the resources of the server: c.Jobs.List(ctx, …), c.Nodes.Check(ctx, …). What concerns its own
// session (LogIn, LogOut) are methods of the Client itself.
//
// A Client is safe for concurrent use. Refusals of the server are *Problem. What the server asks to try again a little
// later (429 and 503 with Retry-After) is tried again by itself where that can do no harm; see WithPatience.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/internal/pause"
)

const (
	defaultPatience = 15 * time.Second
	maxAttempts     = 5
	dialTimeout     = 10 * time.Second
	answerTimeout   = 6 * time.Minute // a search may wait for a slow PACS
	maxAnswer       = 64 << 20        // bytes; the largest page is far below
	maxProblem      = 1 << 20

	jsonLines = "application/jsonl"
)

// caller sends requests to one server.
type caller struct {
	base     *url.URL
	token    string
	agent    string
	patience time.Duration
	http     *http.Client
}

// Option changes how New makes a client.
type Option func(*Client)

// WithToken sets the API token: 40 hexadecimal characters.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithUserAgent sets the User-Agent header; "adit-go-client" by default.
func WithUserAgent(agent string) Option { return func(c *Client) { c.agent = agent } }

// WithPatience says how long one call may wait in sum when the server asks to try again later; 15 s by default. A
// server that asks for more is not waited for: its *Problem is returned at once.
func WithPatience(d time.Duration) Option { return func(c *Client) { c.patience = d } }

// WithHTTPClient sets what sends the requests, for proxies or certificates of one's own.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// New returns a client for the server at an address such as http://127.0.0.1:8080.
func New(server string, opts ...Option) (*Client, error) {
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("this is not the address of a server; an address looks like http://127.0.0.1:8080")
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	c := newClient(&caller{base: base, agent: "adit-go-client", patience: defaultPatience})
	for _, opt := range opts {
		opt(c)
	}
	if c.http == nil {
		transport, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			transport = &http.Transport{}
		}
		transport = transport.Clone()
		transport.ResponseHeaderTimeout = answerTimeout
		transport.TLSHandshakeTimeout = dialTimeout
		c.http = &http.Client{Transport: transport, CheckRedirect: sameHost}
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
	repeatable   bool // may be sent again although the server may have taken it
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
	return request{method: http.MethodGet, path: path, query: query, repeatable: true}
}

// do makes a call and decodes the answer into out, unless that is nil.
func (c *caller) do(ctx context.Context, rq request, out any) error {
	return c.send(ctx, rq, func(answer *http.Response) error {
		if out == nil {
			return nil
		}
		if v, ok := out.(interface{ versioned(etag string) }); ok {
			v.versioned(answer.Header.Get("ETag"))
		}
		return json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out)
	})
}

// copy makes a call and copies the answer.
func (c *caller) copy(ctx context.Context, rq request, w io.Writer) error {
	return c.send(ctx, rq, func(answer *http.Response) error {
		_, err := io.Copy(w, answer.Body)
		return err
	})
}

// send makes a call and has its answer read. A call is not made again once its answer is being read.
func (c *caller) send(ctx context.Context, rq request, read func(*http.Response) error) error {
	var body []byte
	contentType := ""
	switch b := rq.body.(type) {
	case nil:
	case rawBody:
		body, contentType = b.bytes, b.contentType
	default:
		var err error
		if body, err = json.Marshal(rq.body); err != nil {
			return fmt.Errorf("the request can't be written as JSON: %w", err)
		}
		contentType = "application/json"
	}
	left := c.patience
	for attempt := 1; ; attempt++ {
		err := c.once(ctx, rq, body, contentType, read)
		var p *Problem
		if err == nil || !errors.As(err, &p) || !rq.repeatable || !p.Temporary() || attempt == maxAttempts {
			return err
		}
		if p.RetryAfter > left {
			return err
		}
		left -= p.RetryAfter
		if waited := pause.For(ctx, p.RetryAfter); waited != nil {
			return waited
		}
	}
}

func (c *caller) once(
	ctx context.Context, rq request, body []byte, contentType string, read func(*http.Response) error,
) (err error) {
	target := c.base.String() + rq.path
	if len(rq.query) > 0 {
		target += "?" + rq.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, rq.method, target, bytes.NewReader(body))
	if err != nil {
		return errors.New("the request can't be made: the address is not valid")
	}
	req.Header.Set("Accept", "application/json, */*")
	maps.Copy(req.Header, rq.header)
	req.Header.Set("User-Agent", c.agent)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Token "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return readProblem(resp)
	}
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := read(resp); err != nil {
		return fmt.Errorf("the answer of %s can't be read: %w", c.base.Host, err)
	}
	return nil
}

// unreachable leaves out the URL, whose query may hold patient data.
func (c *caller) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return &UnreachableError{Server: c.base.Scheme + "://" + c.base.Host, Err: err}
}

// UnreachableError tells that the ADIT server gave no answer.
type UnreachableError struct {
	Server string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf(
		"there is no answer from ADIT at %s (%v); check the address, and that `adit serve` runs there", e.Server, e.Err,
	)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

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
	CodeMaintenance          = "maintenance"            // staff only for now
	CodeMalformed            = "malformed"              // can't be read
	CodeMethodNotAllowed     = "method_not_allowed"     // Allow says which are
	CodeMisdirected          = "misdirected"            // not under this name
	CodeNotFound             = "not_found"              // or somebody else's
	CodePasswordNeeded       = "password_needed"        // what takes the password again
	CodeServerFailed         = "server_failed"          // a DICOM server refuses, or answers what can't be used
	CodeServerUnavailable    = "server_unavailable"     // a DICOM server doesn't answer, or is closed
	CodeTimeout              = "timeout"                // took too long
	CodeTooLarge             = "too_large"              // the body
	CodeTooMany              = "too_many"               // requests within a time
	CodeUnauthenticated      = "unauthenticated"        // nobody is logged in
	CodeUnsupportedMediaType = "unsupported_media_type" // of the body
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

// Temporary reports whether the server asks to try again later.
func (p *Problem) Temporary() bool {
	return p.RetryAfter > 0 && (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests)
}

func readProblem(resp *http.Response) error {
	p := &Problem{}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil || json.Unmarshal(body, p) != nil || p.Detail == "" {
		p = &Problem{
			Detail: fmt.Sprintf("the server answered %s, and not in the way of ADIT; check the address", resp.Status),
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
