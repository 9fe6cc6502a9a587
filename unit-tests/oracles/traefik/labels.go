package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	ptypes "github.com/traefik/paerser/types"
	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/provider/docker"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// router and backend are what Traefik makes of labels.
type router struct {
	Rule        string   `json:"rule"`
	Syntax      string   `json:"syntax"`
	Priority    int      `json:"priority"`
	Service     string   `json:"service"`
	Middlewares []string `json:"middlewares"`
	EntryPoints []string `json:"entrypoints"`
	TLS         bool     `json:"tls"`
}

type backend struct {
	URL            string `json:"url"`
	PassHostHeader bool   `json:"passhostheader"`
}

type reading struct {
	Labels      map[string]string  `json:"labels"`
	Routers     map[string]router  `json:"routers"`
	Services    map[string]backend `json:"services"`
	Middlewares []string           `json:"middlewares"`
}

// provide asks the Swarm provider of Traefik, which reads one service from an engine that answers with it alone.
func provide(folder string, labels map[string]string) *dynamic.Configuration {
	socket := filepath.Join(folder, "engine.sock")
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	server := &http.Server{Handler: engine(labels)}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	provider := docker.SwarmProvider{
		Shared:         docker.Shared{Network: "proxy", DefaultRule: docker.DefaultTemplateRule},
		ClientConfig:   docker.ClientConfig{Endpoint: "unix://" + socket},
		RefreshSeconds: ptypes.Duration(15 * time.Second),
	}
	if err := provider.Init(); err != nil {
		panic(err)
	}
	messages := make(chan dynamic.Message, 1)
	pool := safe.NewPool(context.Background())
	defer pool.Stop()
	if err := provider.Provide(messages, pool); err != nil {
		panic(err)
	}
	select {
	case message := <-messages:
		return message.Configuration
	case <-time.After(20 * time.Second):
		panic("the provider gives no configuration")
	}
}

// engine answers as Docker's engine does for a Swarm with one service.
func engine(labels map[string]string) http.Handler {
	answers := map[string]any{
		"/version":  map[string]any{"Version": "24.0.0", "ApiVersion": "1.43", "MinAPIVersion": "1.24"},
		"/networks": []any{map[string]any{"Id": "n1", "Name": "proxy", "Scope": "swarm"}},
		"/services": []any{map[string]any{
			"ID": "s1",
			"Spec": map[string]any{
				"Name": "shop_app", "Labels": labels, "Mode": map[string]any{"Replicated": map[string]any{"Replicas": 1}},
				"EndpointSpec": map[string]any{"Mode": "dnsrr"},
			},
		}},
		"/tasks": []any{map[string]any{
			"ID": "t1", "ServiceID": "s1", "Slot": 1, "DesiredState": "running", "Status": map[string]any{"State": "running"},
			"NetworksAttachments": []any{map[string]any{
				"Network":   map[string]any{"ID": "n1", "Spec": map[string]any{"Name": "proxy"}},
				"Addresses": []string{"10.0.0.5/24"},
			}},
		}},
	}
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		for path, answer := range answers {
			if strings.HasSuffix(request.URL.Path, path) {
				writer.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(writer).Encode(answer)
				return
			}
		}
		writer.WriteHeader(http.StatusOK)
	})
}

func readings(folder string) []reading {
	const (
		enable = "traefik.enable"
		rule   = "traefik.http.routers.shop.rule"
		port   = "traefik.http.services.shop.loadbalancer.server.port"
	)
	base := map[string]string{enable: "true", rule: "Host(`a.test`)", port: "80"}
	with := func(changes map[string]string) map[string]string {
		labels := map[string]string{}
		for label, value := range base {
			labels[label] = value
		}
		for label, value := range changes {
			if value == "-" {
				delete(labels, label)
			} else {
				labels[label] = value
			}
		}
		return labels
	}
	routerOf := "traefik.http.routers.shop."
	service := "traefik.http.services.shop."
	middleware := "traefik.http.middlewares.m."
	questions := []map[string]string{
		{}, {enable: "-"}, {enable: "false"}, {enable: "True"}, {enable: "1"}, {enable: "yes"}, {enable: ""},
		{enable: "TRUE "}, {rule: "-"}, {port: "-"},
		{rule: "-", port: "-"}, {rule: ""}, {port: ""}, {port: "eighty"}, {rule: "nonsense"}, {routerOf + "Priority": "10"},
		{routerOf + "priority": "high"},
		{routerOf + "priority": "-3"}, {routerOf + "priority": "+3"}, {routerOf + "priority": " 3"},
		{routerOf + "priority": "0x10"}, {routerOf + "priority": ""},
		{routerOf + "service": "shop"}, {routerOf + "service": "other"}, {routerOf + "service": "api@internal"},
		{routerOf + "entrypoints": "web, web-secure"},
		{routerOf + "entryPoints": "web"}, {routerOf + "entrypoints": ""}, {routerOf + "middlewares": "a,b@file"},
		{routerOf + "tls": "true"}, {routerOf + "tls": "false"},
		{routerOf + "tls": ""}, {routerOf + "tls": "TRUE"}, {routerOf + "tls.certresolver": ""},
		{routerOf + "tls.certResolver": "le", routerOf + "tls": "false"},
		{routerOf + "tls.domains[0].main": "a.test"}, {routerOf + "tls.options": "x@file"}, {routerOf + "tls.unknown": "x"},
		{routerOf + "ruleSyntax": "v2"},
		{routerOf + "rulesyntax": "v3"}, {routerOf + "rules": "x"}, {routerOf + "rule.x": "x"}, {routerOf + "": "x"},
		{"traefik.http.routers.shop": "x"},
		{"traefik.http.routers.more": "x"}, {"traefik.http.routers": "x"}, {"traefik.http": "x"},
		{"traefik.http.router.shop.rule": "x"}, {"traefik.https.routers.shop.rule": "x"},
		{"traefik.httpx": "x"}, {"traefik.HTTP.Routers.Shop.RULE": "Host(`b.test`)"},
		{"Traefik.http.routers.shop.rule": "x"}, {"TRAEFIK.ENABLE": "true"},
		{"traefik.Enable": "false"}, {"traefik.enabled": "true"}, {"traefik.docker.network": "proxy"},
		{"traefik.docker.lbswarm": "maybe"},
		{"traefik.docker.unknown": "x"}, {"traefik.swarm.network": "proxy"}, {"traefik.port": "80"},
		{"traefik.frontend.rule": "Host:a.test"}, {"traefik.tags": "x"},
		{"traefik.http..rule": "x"}, {"traefik.http.routers.[0].rule": "x"}, {"traefik.http.routers.a[0].rule": "x"},
		{service + "loadBalancer.Server.Port": "81"},
		{service + "loadbalancer.server.scheme": "https"}, {service + "loadbalancer.server.scheme": ""},
		{service + "loadbalancer.server.url": "http://x"},
		{service + "loadbalancer.server.weight": "2"}, {service + "loadbalancer.server.weight": "x"},
		{service + "loadbalancer.server.unknown": "x"},
		{service + "loadbalancer.servers.port": "80"}, {service + "loadbalancer.passhostheader": "false"},
		{service + "loadbalancer.passHostHeader": "no"},
		{service + "loadbalancer.sticky": "true"}, {service + "loadbalancer.sticky.cookie": "true"},
		{service + "loadbalancer.sticky.cookie.name": "x"},
		{service + "loadbalancer.healthcheck.path": "/up"}, {service + "loadbalancer.healthcheck.interval": "10s"},
		{service + "loadbalancer.responseforwarding.flushinterval": "1ms"},
		{service + "loadbalancer.serverstransport": "x@file"}, {service + "loadbalancer": "x"},
		{service + "weighted.services": "x"}, {service + "unknown": "x"},
		{service + "failover.service": "x"}, {"traefik.http.services.other.loadbalancer.server.port": "81"},
		{"traefik.http.services.other.loadbalancer.server.port": "81", routerOf + "service": "other"},
		{"traefik.http.services.other.loadbalancer.passhostheader": "true"},
		{"traefik.http.routers.other.rule": "Host(`b.test`)"},
		{"traefik.http.routers.other.rule": "Host(`b.test`)", "traefik.http.routers.other.service": "missing"},
		{"traefik.tcp.routers.t.rule": "HostSNI(`*`)", "traefik.tcp.services.t.loadbalancer.server.port": "22"},
		{rule: "-", port: "-", "traefik.tcp.routers.t.rule": "HostSNI(`*`)", "traefik.tcp.services.t.loadbalancer.server.port": "22"},
		{rule: "-", port: "-", "traefik.udp.routers.u.entrypoints": "x", "traefik.udp.services.u.loadbalancer.server.port": "53"},
		{"traefik.tls.stores.default.defaultgeneratedcert.resolver": "le"}, {"traefik.tls.options.x": "y"},
		{middleware + "redirectscheme.scheme": "https"}, {middleware + "redirectscheme": "https"},
		{middleware + "redirectscheme.permanent": "perhaps"},
		{middleware + "stripprefix.prefixes": "/x"}, {middleware + "stripprefix": "/x"},
		{middleware + "stripprefix.prefix": "/x"}, {middleware + "addprefix.prefix": "/x"},
		{middleware + "headers.customrequestheaders.X-A": "1"}, {middleware + "headers.SSLForceHost": "true"},
		{middleware + "headers.sslRedirect": "true"},
		{middleware + "headers.stsSeconds": "31536000"}, {middleware + "basicauth.users": "u:p"},
		{middleware + "compress": "true"}, {middleware + "compress": ""},
		{middleware + "compress": "false"},
		{middleware + "redirectregex.regex": "^a", middleware + "redirectregex.replacement": "b"},
		{middleware + "unknown.x": "y"},
		{middleware + "chain.middlewares": "a,b"}, {middleware + "plugin.x.y": "z"}, {"traefik.http.middlewares.m": "x"},
		{middleware + "ratelimit.average": "100"},
		{middleware + "forwardauth.address": "http://x"}, {middleware + "errors.status": "500-599"},
		{middleware + "buffering.maxRequestBodyBytes": "1"},
		{middleware + "replacepath.path": "/"}, {middleware + "stripprefixregex.regex": "/x"},
		{"coop-cloud.shop.version": "1.0.0+1"},
		{rule: "-", middleware + "compress": "true"}, {port: "-", middleware + "compress": "true"},
		{"traefik.http.serverstransports.x.insecureskipverify": "true"},
	}
	all := []reading{}
	for _, changes := range questions {
		labels := with(changes)
		configuration := provide(folder, labels)
		result := reading{Labels: labels, Routers: map[string]router{}, Services: map[string]backend{}, Middlewares: []string{}}
		for name, found := range configuration.HTTP.Routers {
			result.Routers[name] = router{
				Rule: found.Rule, Syntax: found.RuleSyntax, Priority: found.Priority, Service: found.Service,
				Middlewares: orEmpty(found.Middlewares), EntryPoints: orEmpty(found.EntryPoints), TLS: found.TLS != nil,
			}
		}
		for name, found := range configuration.HTTP.Services {
			if found.LoadBalancer != nil && len(found.LoadBalancer.Servers) > 0 {
				pass := found.LoadBalancer.PassHostHeader
				result.Services[name] = backend{URL: found.LoadBalancer.Servers[0].URL, PassHostHeader: pass == nil || *pass}
			}
		}
		for name := range configuration.HTTP.Middlewares {
			result.Middlewares = append(result.Middlewares, name)
		}
		all = append(all, result)
	}
	return all
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
