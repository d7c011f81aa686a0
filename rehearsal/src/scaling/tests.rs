//! The rules, on a clock that the test moves. Each test names the document that has its rule; all are of the EC2 Auto Scaling user
//! guide unless it says otherwise.

mod capacity;
mod refresh;
mod scene;
