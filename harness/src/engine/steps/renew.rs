//! Creates the app of head in abra again (`abra app new`), under the old name, after the disaster removed it.

use super::shared::context::StepContext;
use crate::model::outcome::{Failure, Gap};

pub(super) async fn renew(context: &StepContext<'_>) -> Result<Option<Gap>, Failure> {
    let commit = &context.head()?.commit;
    context.make_app(commit).await
}
