//! nginx before the service, with the configuration that is shipped, when `VIRKSOMHEDSLOGIN_TEST_PROXY=nginx` asks for it.
//!
//! Only addresses, paths and TLS are taken out of the shipped file; `e2e/proxy/run` sets the variable, and tries TLS.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running nginx.
pub(super) struct Proxy {
    /// Where it answers.
    pub address: String,
    socket: PathBuf,
    child: Child,
}

impl Proxy {
    /// Starts one for a service in this directory, when the tests are asked to go through one.
    pub(super) fn wanted(directory: &Path) -> Option<Self> {
        match std::env::var("VIRKSOMHEDSLOGIN_TEST_PROXY").as_deref() {
            Ok("nginx") => Some(Self::start(directory)),
            Ok(other) => panic!("no proxy {other:?} is known to the tests"),
            Err(_) => None,
        }
    }

    /// What `server.listen` must be for it.
    pub(super) fn upstream(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    fn start(directory: &Path) -> Self {
        let (home, socket) = (directory.join("nginx"), directory.join("api.sock"));
        fs::create_dir_all(&home).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nginx/virksomhedslogin.conf");
        let server: String = fs::read_to_string(shipped)
            .unwrap()
            .replace("/run/virksomhedslogin/api.sock", &socket.display().to_string())
            .replace("/var/log/nginx", &home.display().to_string())
            .replace("listen 443 ssl;", &format!("listen {address};"))
            .lines()
            .filter(|line| !line.trim_start().starts_with("ssl_") && !line.contains("listen [::]:443"))
            .map(|line| format!("{line}\n"))
            .collect();
        let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
        let home = home.display();
        let configuration = home.to_string() + "/nginx.conf";
        let text = format!(
            "daemon off;\nworker_processes 1;\n{user}pid {home}/pid;\nerror_log {home}/error.log;\n\
             events {{ worker_connections 512; }}\nhttp {{\n\
             client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;\n\
             uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;\n{server}}}\n"
        );
        fs::write(&configuration, text).unwrap();
        let mut child = Command::new("nginx")
            .args(["-e", &format!("{home}/error.log"), "-c", &configuration])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&address).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "nginx ended: {home}/error.log");
            assert!(Instant::now() < until, "nginx answers");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { address, socket, child }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // SIGTERM, so that the master ends its worker too.
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
