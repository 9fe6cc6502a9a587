package main

import (
	"context"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/traefik/traefik/v3/pkg/middlewares/requestdecorator"
	traefik "github.com/traefik/traefik/v3/pkg/muxer/http"
)

// request is one request that every rule is asked about.
type request struct {
	Method  string      `json:"method"`
	Host    string      `json:"host"`
	Path    string      `json:"path"`
	Query   string      `json:"query"`
	Headers [][2]string `json:"headers"`
	Client  string      `json:"client"`
}

// answer is what Traefik says of one rule: by syntax a text with a digit for each request, or "!" where it refuses the rule.
type answer struct {
	Rule     string `json:"rule"`
	V2       string `json:"v2"`
	V3       string `json:"v3"`
	Priority int    `json:"priority"`
}

func requests() []request {
	plain := func(method, host, path string) request {
		return request{Method: method, Host: host, Path: path, Headers: [][2]string{}, Client: "10.1.2.3"}
	}
	all := []request{}
	for _, host := range []string{"a.test", "b.test", "x.a.test", "x.y.a.test", "A.test", "a.test.", "bad-a.test", "10.0.0.1"} {
		for _, path := range []string{"/", "/x", "/x/", "/xy", "/a/12"} {
			all = append(all, plain("GET", host, path))
		}
	}
	post := plain("POST", "a.test", "/x")
	post.Headers = [][2]string{{"X-Kind", "one"}, {"X-Kind", "two"}, {"Content-Type", "text/html"}}
	post.Query = "k=1&k=2&empty="
	post.Client = "192.168.0.9"
	head := plain("HEAD", "a.test", "/a/b c")
	head.Headers = [][2]string{{"x-kind", "ONE"}}
	head.Query = "k=2"
	head.Client = "::1"
	upper := plain("GET", "a.test", "/X/{id}")
	upper.Query = "K=1"
	dots := plain("GET", "a.test", "/x/../y//z")
	return append(all, post, head, upper, dots)
}

// atoms are matchers of both syntaxes, right and wrong ones.
var atoms = []string{
	"Host(`a.test`)", "Host(`A.TEST`)", "Host(\"b.test\")", "Host(`a.test.`)", "Host(`a.test`, `b.test`)",
	"Host(`x.a.test`,`b.test`,)",
	"HOST(`a.test`)", "host(`a.test`)", "hOst(`a.test`)", "Host('a.test')", "Host(a.test)", "Host()", "Host(``)",
	"Host(`*.a.test`)",
	"Host(`é.test`)", "Host(\"a\\u002etest\")", "Host(\"a.test\\n\")", "Host(1)", "Host(`a` + `b`)", "HostHeader(`a.test`)",
	"HostSNI(`a.test`)", "HostRegexp(`^[a-z]+\\.a\\.test$`)", "HostRegexp(`a\\.test`)", "HostRegexp(`.+`)", "HostRegexp(`^$`)",
	"HostRegexp(`{sub:[a-z]+}.a.test`)", "HostRegexp(`{sub}.a.test`)", "HostRegexp(`a.test`)", "HostRegexp(`A.TEST`)",
	"HostRegexp(`{any:.*}`)",
	"HostRegexp(`{sub:[a-z]+}.a.test`, `b.test`)", "HostRegexp(`{a`)", "HostRegexp(`a}`)", "HostRegexp(`{:x}`)",
	"HostRegexp(`{x:}`)",
	"HostRegexp(`(?i)A\\.TEST`)", "HostRegexp(`[[:alpha:]]+`)", "HostRegexp(`[a`)", "HostRegexp(`a**`)", "HostRegexp(`*`)",
	"HostRegexp(`\\d`)",
	"HostRegexp(`^x{1,2}`)", "HostRegexp(`^x{,2}`)", "HostRegexp(`a|b`)", "HostRegexp(`\\Qa.test\\E`)",
	"HostRegexp(`[a&&b]`)", "HostRegexp(`[[a]`)",
	"hostregexp(`a`)", "Hostregexp(`a`)", "HOSTREGEXP(`a`)",
	"Path(`/x`)", "Path(`/x/`)", "Path(`x`)", "Path(`/x`, `/a/12`)", "Path(`/a/{id:[0-9]+}`)", "Path(`/a/{id}`)",
	"Path(`/{id`)", "Path(`/X/{id}`)",
	"Path(`/a/b c`)", "Path(`/.*`)", "path(`/x`)", "PathPrefix(`/`)", "PathPrefix(`/x`)", "PathPrefix(`/x/`)",
	"PathPrefix(`x`)", "PathPrefix(`/x`, `/a`)",
	"PathPrefix(`/{any:[a-z]+}/1`)", "PathPrefix(`/a/`)", "PATHPREFIX(`/x`)", "Pathprefix(`/x`)", "PathRegexp(`^/x$`)",
	"PathRegexp(`y`)",
	"PathRegexp(`^/a/[0-9]+$`)", "PathRegexp(`/x|/a`)", "PathRegexp(`(`)", "PathRegexp(`^/X/\\{id\\}$`)",
	"PathRegexp(`^/X/{id}$`)", "PathRegexp(`//`)",
	"Method(`GET`)", "Method(`get`)", "Method(`GET`, `POST`)", "Method(`POST`)", "Method(\"\")",
	"Header(`X-Kind`, `one`)", "Header(`x-kind`, `ONE`)", "Header(`X-Kind`)", "Header(`X-None`, ``)",
	"HeaderRegexp(`X-Kind`, `^t`)", "HeaderRegexp(`X-Kind`, `[`)",
	"Headers(`X-Kind`, `one`)", "Headers(`X-Kind`)", "Headers(`X-Kind`, `two`, `Content-Type`, `text/html`)",
	"Headers(`X-Kind`, `one`, `X-Kind`, `no`)",
	"HeadersRegexp(`X-Kind`, `(?i)one`)", "HeadersRegexp(`Content-Type`, `text/.*`, `X-Kind`, `z`)",
	"Headerregexp(`X-Kind`, `o`)",
	"Query(`k`, `1`)", "Query(`k`, `2`)", "Query(`k`)", "Query(`empty`)", "Query(`k=1`)", "Query(`k=2`)", "Query(`k=`)",
	"Query(`k=1`, `empty=`)", "Query(`k={v}`)",
	"QueryRegexp(`k`, `[12]`)", "QueryRegexp(`k`)", "QueryRegexp(`k`, `2`)", "Query(`K`, `1`)", "Query(`a`, `b`, `c`)",
	"ClientIP(`10.1.2.3`)", "ClientIP(`10.0.0.0/8`)", "ClientIP(`192.168.0.0/16`, `::1`)", "ClientIP(`::1`)",
	"ClientIP(`10.0.0.0/33`)", "ClientIP(`x`)",
	"ClientIP(`::ffff:10.1.2.3`)", "ClientIP(`10.1.2.3/8`)",
	"Nothing(`a`)", "a", "`a`", "true",
}

// wholes are rules whose form is the question.
var wholes = []string{
	"", " ", "()", "Host(`a.test`", "Host(`a.test`))", "(Host(`a.test`))", "((Host(`a.test`)) && ((Path(`/x`))))",
	"!Host(`a.test`)", "!!Host(`a.test`)",
	"!(Host(`a.test`) || Host(`b.test`))", "!(Host(`a.test`) && !Path(`/x`))", "Host(`a.test`) Host(`b.test`)",
	"Host(`a.test`) &&", "&& Host(`a.test`)",
	"Host(`a.test`) & Path(`/x`)", "Host(`a.test`) and Path(`/x`)", "Host(`a.test`) | Path(`/x`)",
	"Host(`a.test`)||Host(`b.test`)&&Path(`/x`)",
	"(Host(`a.test`)||Host(`b.test`))&&Path(`/x`)", "Host(`a.test`) ||\n Host(`b.test`)",
	"Host(`a.test`)\n|| Host(`b.test`)", "Host(`a.test`)\n", "\nHost(`a.test`)",
	"Host(\n`a.test`)", "Host(`a.test`\n)", "Host(`a.test`,\n`b.test`,\n)", "Host(`a.test`);", "Host(`a.test`) // note",
	"/* note */ Host(`a.test`)",
	"Host (`a.test`)", "Host( `a.test` )", "\tHost(`a.test`)\r\n", "! Host(`a.test`)", "Host(`a.test`) == Path(`/x`)",
	"-Host(`a.test`)", "Host(Host(`a.test`))",
	"a.Host(`a.test`)", "Host[`a.test`]", "Host(`a.test`).x", "Host(`a.test`...)", "Host(`a\r.test`)", "\"Host(`a.test`)\"",
	"Host(`a.test`) ; Path(`/x`)", "Host(`a.test`) && (Path(`/x`)",
	"Host(`a.test`) && Path(`/x`)) || Host(`b.test`)",
	"(Host(`a.test`) && (PathPrefix(`/x`) || PathPrefix(`/a`))) || (Host(`b.test`) && !Method(`POST`))",
}

// rules are the atoms, the wholes, and combinations of atoms that are the same each time.
func rules() []string {
	all := append([]string{}, wholes...)
	all = append(all, atoms...)
	random := rand.New(rand.NewSource(7))
	good := []string{}
	for _, atom := range atoms {
		if ask(atom, "v2", nil) != "!" || ask(atom, "v3", nil) != "!" {
			good = append(good, atom)
		}
	}
	// Now and then a wrong one, because one of them makes a whole rule wrong.
	pick := func() string {
		if random.Intn(20) == 0 {
			return atoms[random.Intn(len(atoms))]
		}
		return good[random.Intn(len(good))]
	}
	var combined func(depth int) string
	combined = func(depth int) string {
		if depth == 0 {
			return pick()
		}
		switch random.Intn(4) {
		case 0:
			return combined(depth-1) + " && " + combined(depth-1)
		case 1:
			return combined(depth-1) + " || " + combined(depth-1)
		case 2:
			return "!(" + combined(depth-1) + ")"
		default:
			return "(" + combined(depth-1) + " || " + pick() + ") && " + combined(depth-1)
		}
	}
	for len(all) < 900 {
		all = append(all, combined(1+random.Intn(2)))
	}
	return all
}

func (r request) made() *http.Request {
	target := &url.URL{Scheme: "http", Host: r.Host, Path: r.Path, RawQuery: r.Query}
	made := httptest.NewRequest(r.Method, "http://placeholder/", http.NoBody)
	made.URL = target
	made.Host = r.Host
	made.RemoteAddr = net.JoinHostPort(r.Client, "1234")
	for _, header := range r.Headers {
		made.Header.Add(header[0], header[1])
	}
	return made.WithContext(context.Background())
}

// ask answers by syntax which requests a rule takes.
func ask(rule, syntax string, requests []request) string {
	muxer, err := traefik.NewMuxer()
	if err != nil {
		panic(err)
	}
	taken := http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) { writer.WriteHeader(http.StatusNoContent) })
	if err := muxer.AddRoute(rule, syntax, traefik.GetRulePriority(rule), taken); err != nil {
		return "!"
	}
	decorator := requestdecorator.New(nil)
	var answers strings.Builder
	for _, question := range requests {
		recorder := httptest.NewRecorder()
		decorator.ServeHTTP(recorder, question.made(), muxer.ServeHTTP)
		if recorder.Code == http.StatusNoContent {
			answers.WriteByte('1')
		} else {
			answers.WriteByte('0')
		}
	}
	return answers.String()
}

func answers(requests []request) []answer {
	all := []answer{}
	for _, rule := range rules() {
		all = append(all, answer{
			Rule: rule, V2: ask(rule, "v2", requests), V3: ask(rule, "v3", requests), Priority: traefik.GetRulePriority(rule),
		})
	}
	return all
}
