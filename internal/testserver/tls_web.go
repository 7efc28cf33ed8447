package testserver

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"sonde/internal/testcert"
)

// NginxTLS starts nginx with TLS 1.2 and 1.3 (OpenSSL's library) and returns it. It answers as [Nginx] does at "/" over
// HTTP/1.1, which it offers by ALPN with h2, staples an OCSP response that says good, gives session tickets, and asks
// for a client certificate without insisting on one.
func NginxTLS(t testing.TB) *TLSServer {
	t.Helper()
	id := newIdentity(t, testcert.Leaf{Staple: testcert.StapleGood})
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		user := ""
		if os.Geteuid() == 0 {
			user = "user root;" // as in prepareNginx
		}
		conf := fmt.Sprintf(`
daemon off;
worker_processes 1;
%[3]s
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	default_type text/plain;
	server {
		listen %[2]s ssl http2 backlog=4096;
		ssl_certificate %[5]s;
		ssl_certificate_key %[6]s;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_session_tickets on;
		ssl_session_cache shared:tls:1m;
		ssl_stapling on;
		ssl_stapling_file %[7]s;
		ssl_verify_client optional;
		ssl_client_certificate %[8]s;
		location = / { return 200 "%[4]s"; }
		location / { return 404; }
	}
}
`, dir, addrs[0], user, NginxBody, id.chain, id.key, id.staple, id.root)
		return []string{"-p", dir, "-e", "stderr", "-c", write(t, dir, "nginx.conf", conf, 0o644)}
	}
	id.server.Direct = start(t, spec{program: "nginx", pkg: "nginx-light", ports: 1, prepare: prepare})[0]
	return id.server
}

// HAProxyBody is what [HAProxy] answers.
const HAProxyBody = "sonde test proxy"

// HAProxy starts haproxy with TLS 1.2 and 1.3 (OpenSSL's library) and returns it. It answers every request over HTTP/1.1
// and HTTP/2, both of which it offers by ALPN, with status 200 and HAProxyBody.
func HAProxy(t testing.TB) *TLSServer {
	t.Helper()
	id := newIdentity(t, testcert.Leaf{Key: testcert.ECDSAP384})
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		conf := fmt.Sprintf(`global
	maxconn 4096
	ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
	mode http
	timeout client 30s
	timeout server 30s
	timeout connect 30s
frontend tls
	bind %s ssl crt %s alpn h2,http/1.1
	http-request return status 200 content-type text/plain string "%s"
`, addrs[0], id.combined, HAProxyBody)
		// -db: a daemon that stays in the foreground, with one process.
		return []string{"-db", "-f", write(t, dir, "haproxy.cfg", conf, 0o600)}
	}
	id.server.Direct = start(t, spec{program: "haproxy", pkg: "haproxy", ports: 1, prepare: prepare})[0]
	return id.server
}

// RedisTLS starts redis-server with TLS alone (OpenSSL's library) and returns it. It asks for a client certificate
// without insisting on one.
func RedisTLS(t testing.TB) *TLSServer {
	t.Helper()
	id := newIdentity(t, testcert.Leaf{})
	prepare := func(_ testing.TB, dir string, addrs []netip.AddrPort) []string {
		return []string{
			"--bind", addrs[0].Addr().String(), "--port", "0", "--tls-port", fmt.Sprint(addrs[0].Port()), "--dir", dir,
			"--tls-cert-file", id.chain, "--tls-key-file", id.key, "--tls-ca-cert-file", id.root, "--tls-auth-clients", "optional",
			"--save", "", "--appendonly", "no", "--daemonize", "no", "--tcp-backlog", "4096",
		}
	}
	id.server.Direct = start(t, spec{program: "redis-server", pkg: "redis-server", ports: 1, prepare: prepare})[0]
	return id.server
}
