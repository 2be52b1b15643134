/* EXPLAIN [ANALYZE] as JSON, built as a statement so that no text is glued to the query's text. */
#include "engine/duckdb/module.hpp"

#include <duckdb/parser/statement/explain_statement.hpp>

namespace moat
{

using std::string;

enum err explain(struct engine_session *session, const struct identity *, struct slice sql,
                 bool is_analyze, struct buf *ret_json, struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        /* EXPLAIN ANALYZE runs the statement: then it must be one that only reads. */
        auto statement = parse_one(*session->side.context, sql, !is_analyze);
        string text = statement->query;
        auto explained = duckdb::make_uniq<duckdb::ExplainStatement>(
            std::move(statement),
            is_analyze ? duckdb::ExplainType::EXPLAIN_ANALYZE
                       : duckdb::ExplainType::EXPLAIN_STANDARD,
            duckdb::ExplainFormat::JSON);
        explained->query = text;
        throw_if_cancelled(*session);
        auto pending = session->side.PendingQuery(std::move(explained), false);
        /* The engine cleared its own flag on the way, so a cancel from before is in ours alone. It
         * is told, not thrown: a plan that is dropped before it ran is lost by the engine. */
        if (*session->is_cancelled) {
            session->side.Interrupt();
        }
        auto result = run_pending(*pending);
        throw_if_cancelled(*session);
        if (result->HasError()) {
            return report(result->GetErrorObject(), info);
        }
        /* Columns are the kind of plan and its text. */
        while (auto chunk = result->Fetch()) {
            for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
                string plan = without_addresses(chunk->GetValue(1, row).ToString());
                buf_append(ret_json, plan.data(), plan.size());
            }
        }
        return buf_failed(ret_json) ? errinfo_nomem(info) : ERR_OK;
    });
}

} // namespace moat
