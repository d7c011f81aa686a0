//! goose as it comes, on one endpoint: what `loadtest/compare` measures ours against. Its own flags apply:
//! `--host URL --users 64 --run-time 10s`.

use goose::prelude::*;

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let scenario = scenario!("plain").register_transaction(transaction!(read));
    GooseAttack::initialize()?.register_scenario(scenario).execute().await?;
    Ok(())
}

async fn read(user: &mut GooseUser) -> TransactionResult {
    let answer = user.get("/health").await?;
    if let Ok(response) = answer.response {
        let _ = response.bytes().await;
    }
    Ok(())
}
