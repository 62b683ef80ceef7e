// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// OAuth2Config says where tokens come from (RFC 6749 4.4, client credentials).
type OAuth2Config struct {
	TokenURL     string
	ClientID     string
	ClientSecret string
	// SecretInBody sends ID and secret in the body (client_secret_post) instead of by Basic (client_secret_basic).
	SecretInBody bool
	// Scope, Audience and Resource are sent unless they are empty; servers want different ones of them.
	Scope, Audience, Resource string
	TLS                       *tls.Config   // nil: TLS 1.2 or newer, with the authorities of the system
	Timeout                   time.Duration // of a request for a token; default 30 s
}

// OAuth2 gets tokens and renews them when they have lived for four fifths of their time. All clients of a server share
// it: one request for a token is under way at most.
type OAuth2 struct {
	cfg  OAuth2Config
	http *http.Transport
	now  func() time.Time
	turn chan struct{} // held by who asks for a token

	mu      sync.Mutex
	token   string
	renewAt time.Time
	until   time.Time
}

// lifetime is that of a token whose server doesn't say.
const lifetime = 5 * time.Minute

// NewOAuth2 makes credentials. It asks for no token yet; what is wrong with the configuration is told by then.
func NewOAuth2(cfg OAuth2Config) *OAuth2 {
	cfg.Timeout = orDefault(cfg.Timeout, 30*time.Second)
	trust := cfg.TLS.Clone()
	if trust == nil {
		trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &OAuth2{
		cfg: cfg, now: time.Now, turn: make(chan struct{}, 1),
		http: &http.Transport{
			TLSClientConfig: trust, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader,
		},
	}
}

// TokenError says that there is no token.
type TokenError struct {
	Code   string // error of the answer (RFC 6749 5.2), such as invalid_client; empty if there is none
	Status int    // of the answer; 0 if there was none
	What   string
	Err    error // of the connection
	// Transient tells that it may pass by itself; else somebody must change a setting.
	Transient bool
}

func (e *TokenError) Error() string { return "no token for the DICOMweb server: " + e.What }

func (e *TokenError) Unwrap() error { return e.Err }

// Header gives the token, a new one if it is time. The error is a *TokenError, or that of ctx.
func (o *OAuth2) Header(ctx context.Context) (name, value string, err error) {
	token, fresh := o.current()
	if !fresh {
		if token, err = o.renew(ctx); err != nil {
			return "", "", err
		}
	}
	return "Authorization", "Bearer " + token, nil
}

// Rejected forgets the token, if it is still that one. Another can always be asked for.
func (o *OAuth2) Rejected(value string) (again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if "Bearer "+o.token == value {
		o.token, o.renewAt, o.until = "", time.Time{}, time.Time{}
	}
	return true
}

// current gives the token that may be used, if any, and whether it need not be renewed yet.
func (o *OAuth2) current() (token string, fresh bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if !now.Before(o.until) {
		return "", false
	}
	return o.token, now.Before(o.renewAt)
}

// renew asks for a token, unless another goroutine has just done so. Where that fails the old one serves while it may.
func (o *OAuth2) renew(ctx context.Context) (string, error) {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-o.turn }()
	old, fresh := o.current()
	if fresh {
		return old, nil
	}
	begin := o.now()
	token, life, err := o.fetch(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
		o.token, o.renewAt, o.until = token, begin.Add(life*4/5), begin.Add(life)
		return token, nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case old != "":
		o.renewAt = o.now().Add(5 * time.Second)
		return old, nil
	}
	return "", err
}

// fetch asks for a token.
func (o *OAuth2) fetch(ctx context.Context) (token string, life time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	rq, err := o.request(ctx)
	if err != nil {
		return "", 0, err
	}
	rsp, err := o.http.RoundTrip(rq)
	if err != nil {
		e := connectError(rq.URL.Host, o.cfg.Timeout, err)
		return "", 0, &TokenError{What: e.Error(), Err: err, Transient: !e.Settings}
	}
	defer func() { _ = rsp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(rsp.Body, 1<<20))
	if err != nil {
		return "", 0, &TokenError{
			Status: rsp.StatusCode, What: "the answer of the token server broke off", Err: err, Transient: true,
		}
	}
	return readToken(rsp.StatusCode, body)
}

// request makes the request for a token (RFC 6749 4.4.2).
func (o *OAuth2) request(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse(o.cfg.TokenURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return nil, &TokenError{What: "its token address is no valid URL; correct it"}
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	for name, value := range map[string]string{
		"scope": o.cfg.Scope, "audience": o.cfg.Audience, "resource": o.cfg.Resource,
	} {
		if value != "" {
			form.Set(name, value)
		}
	}
	if o.cfg.SecretInBody {
		form.Set("client_id", o.cfg.ClientID)
		form.Set("client_secret", o.cfg.ClientSecret)
	}
	rq, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, &TokenError{What: "its token address is no valid URL; correct it"}
	}
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rq.Header.Set("Accept", "application/json")
	if !o.cfg.SecretInBody {
		// RFC 6749 2.3.1: both are encoded as in a form first.
		pair := url.QueryEscape(o.cfg.ClientID) + ":" + url.QueryEscape(o.cfg.ClientSecret)
		rq.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return rq, nil
}

// readToken reads the answer of a token server.
func readToken(status int, body []byte) (token string, life time.Duration, err error) {
	var answer struct {
		AccessToken string          `json:"access_token"`
		TokenType   string          `json:"token_type"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		Error       json.RawMessage `json:"error"`
	}
	bad := json.Unmarshal(body, &answer) != nil
	if status != http.StatusOK {
		e := &TokenError{Status: status}
		e.Transient = status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
		_ = json.Unmarshal(answer.Error, &e.Code) // some put an object there
		e.Code = errorCode(e.Code)
		if e.Code == "temporarily_unavailable" || e.Code == "server_error" {
			e.Transient = true
		}
		e.What = fmt.Sprintf("the token server answered with status %d", status)
		if e.Code != "" {
			e.What += " and the error " + e.Code
		}
		if !e.Transient {
			e.What += "; check client ID, secret, scope, audience and resource"
		}
		return "", 0, e
	}
	if bad || answer.AccessToken == "" || strings.ContainsFunc(answer.AccessToken, isControl) {
		return "", 0, &TokenError{Status: status, What: "the answer has no token; check the token address"}
	}
	if answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "Bearer") {
		return "", 0, &TokenError{Status: status, What: "the token server gives no Bearer tokens, and only those are known"}
	}
	return answer.AccessToken, lifeOf(answer.ExpiresIn), nil
}

// errorCode keeps an error that is a word of the standard or looks like one.
func errorCode(s string) string {
	if len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. ") != "" {
		return ""
	}
	return s
}

// lifeOf reads expires_in: seconds, which some write as a string.
func lifeOf(raw json.RawMessage) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || !(seconds > 0) {
		return lifetime
	}
	return time.Duration(min(seconds, 365*24*3600) * float64(time.Second))
}
