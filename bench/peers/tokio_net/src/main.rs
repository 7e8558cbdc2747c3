// tokio: a task for each connection on the single-threaded runtime, a plain read-write loop.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut client: TcpStream) {
    let mut buffer = vec![0; 65536];
    while let Ok(n) = client.read(&mut buffer).await {
        if n == 0 || client.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!(
        "{{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":{}}}",
        listener.local_addr()?.port()
    );
    loop {
        let (client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        tokio::spawn(echo(client));
    }
}

fn main() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(serve())
}
