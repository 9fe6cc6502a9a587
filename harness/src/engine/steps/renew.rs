//! Makes head known to abra as a new app under the old name, after the app was removed.

use super::shared::context::StepContext;
use crate::model::outcome::Failure;

pub(super) async fn renew(context: &StepContext<'_>) -> Result<(), Failure> {
    let commit = &context.head()?.commit;
    context.make_app(commit).await
}
