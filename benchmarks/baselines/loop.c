/* The limit model by hand: what a good engineer would write for these grids and nothing else.
 *
 * Conventions of grids/billion.toml and grids/bandwidth_sync.toml: weights of the layers, MLA
 * absorbed, full attention span, no vector work, KV split over the chips, one roofline a step, no
 * pipeline, data or expert parallelism. Axes: llm, seq_len, tp_size, batch_size, mem_bw,
 * sync_latency; the last two are the inner loops.
 *
 * Volumes are computed once for each row (llm, seq_len, tp_size, batch_size), in double. At a point
 * there remain a product, a maximum, a sum and a division, in float, as in the model's own output.
 * Every metric that is asked for is computed at every point: no use is made of what grows or falls
 * along an axis. Rows that do not fit in memory are NaN in dense outputs and skipped by reductions.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY, COMPUTE, SYNC, CAPACITY };

typedef struct {
    double num_layers, hidden_size, num_heads, num_kv_heads, head_dim, q_lora_rank, kv_lora_rank,
        qk_rope_head_dim, intermediate_size, num_moe_layers, num_experts, experts_per_token,
        num_shared_experts, moe_intermediate_size;
} Llm;

typedef struct {
    int64_t llms, seqs, tps, batches, bws, lats;
    const Llm *llm;
    const double *seq_len, *tp_size, *batch_size, *mem_bw, *sync_latency;
    double peak_flops, mem_capacity, collectives_per_layer, weight_bits, kv_bits;
    double chip_power, mem_energy; /* without its memory; of its memory by bandwidth */
} Grid;

/* t_mem = mem / bandwidth, t_compute = compute, t_sync = syncs * latency; then the derivatives of
 * mem and compute by the logarithm of batch and context; then what only dense_all needs. */
typedef struct {
    float mem, compute, syncs, tokens;
    float mem_batch, compute_batch, mem_seq, compute_seq;
    float weight_bytes, kv_bytes, capacity, weight_traffic, kv_traffic, flops, max_batch_size;
    float chips, stage_flops, power, power_by_bw;
    int32_t feasible;
} Row;

static Row make_row(const Grid *g, const Llm *m, double seq, double tp, double batch) {
    double q_rows = m->q_lora_rank > 0 ? m->q_lora_rank : m->hidden_size;
    double q_dim = m->kv_lora_rank + m->qk_rope_head_dim;
    double gqa = m->hidden_size * m->head_dim * (m->num_heads + 2 * m->num_kv_heads);
    double mla = m->hidden_size * m->q_lora_rank + q_rows * m->num_heads * q_dim +
                 m->hidden_size * q_dim;
    double output = m->num_heads * (m->head_dim + m->kv_lora_rank) * m->hidden_size;
    double expert = 3 * m->hidden_size * m->moe_intermediate_size * m->num_moe_layers;
    double ffn = 3 * m->hidden_size * m->intermediate_size * (m->num_layers - m->num_moe_layers);
    double common = m->num_layers * (gqa + mla + output) + ffn +
                    m->num_moe_layers * m->hidden_size * m->num_experts +
                    m->num_shared_experts * expert;

    int sparse = m->num_experts > m->experts_per_token;
    double rate = sparse ? log1p(-m->experts_per_token / m->num_experts) : 0;
    double touched = sparse ? -m->num_experts * expm1(batch * rate) : m->num_experts;
    double touched_batch = sparse ? -m->num_experts * exp(batch * rate) * batch * rate : 0;

    double byte = g->weight_bits / 8;
    double kv_elements = 2 * m->num_kv_heads * m->head_dim + q_dim;
    double kv = batch * seq * m->num_layers * kv_elements * (g->kv_bits / 8);
    double dense_flops = 2 * batch * (common + m->experts_per_token * expert);
    double span_flops =
        4 * m->num_heads * m->head_dim +
        2 * m->num_heads * (2 * m->kv_lora_rank + m->qk_rope_head_dim);
    double attention_flops = batch * seq * m->num_layers * span_flops;
    double rate_flops = tp * g->peak_flops;
    double weights = (common + m->num_experts * expert) * byte;
    double weight_traffic = (common + touched * expert) * byte;
    double capacity = tp * g->mem_capacity;

    return (Row){
        .mem = (weight_traffic + kv) / tp,
        .compute = (dense_flops + attention_flops) / rate_flops,
        .syncs = tp > 1 ? m->num_layers * g->collectives_per_layer : 0,
        .tokens = batch,
        .mem_batch = (touched_batch * expert * byte + kv) / tp,
        .compute_batch = (dense_flops + attention_flops) / rate_flops,
        .mem_seq = kv / tp,
        .compute_seq = attention_flops / rate_flops,
        .weight_bytes = weights,
        .kv_bytes = kv,
        .capacity = capacity,
        .weight_traffic = weight_traffic,
        .kv_traffic = kv,
        .flops = dense_flops + attention_flops,
        .max_batch_size = fmax(floor((capacity - weights) / (kv / batch)), 0),
        .chips = tp,
        .stage_flops = rate_flops,
        .power = tp * g->chip_power,
        .power_by_bw = tp * g->mem_energy,
        .feasible = weights + kv <= capacity,
    };
}

int64_t row_bytes(void) { return sizeof(Row); }

void make_rows(const Grid *g, Row *rows) {
    for (int64_t m = 0; m < g->llms; m++)
        for (int64_t s = 0; s < g->seqs; s++)
            for (int64_t t = 0; t < g->tps; t++)
                for (int64_t b = 0; b < g->batches; b++)
                    *rows++ = make_row(g, &g->llm[m], g->seq_len[s], g->tp_size[t],
                                       g->batch_size[b]);
}

/* The two inner axes as floats: bandwidths as their inverses. */
typedef struct {
    int64_t bws, lats;
    float *per_bw, *lat;
} Inner;

static Inner make_inner(const Grid *g) {
    Inner in = {g->bws, g->lats, malloc(g->bws * sizeof(float)), malloc(g->lats * sizeof(float))};
    for (int64_t j = 0; j < g->bws; j++) in.per_bw[j] = 1 / g->mem_bw[j];
    for (int64_t k = 0; k < g->lats; k++) in.lat[k] = g->sync_latency[k];
    return in;
}

static void free_inner(Inner in) {
    free(in.per_bw);
    free(in.lat);
}

static inline void fill(float *out, float value, int64_t n) {
    for (int64_t k = 0; k < n; k++) out[k] = value;
}

#define NOTHING __builtin_nanf("")

/* ---- dense outputs of the rows [first, last), written from the start of the arrays ---- */

void dense_utps(const Grid *g, const Row *rows, int64_t first, int64_t last, float *utps) {
    Inner in = make_inner(g);
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t r = first; r < last; r++)
        for (int64_t j = 0; j < in.bws; j++) {
            Row row = rows[r];
            float *u = utps + ((r - first) * in.bws + j) * in.lats;
            if (!row.feasible) {
                fill(u, NOTHING, in.lats);
                continue;
            }
            float busy = fmaxf(row.compute, row.mem * in.per_bw[j]);
#pragma omp simd
            for (int64_t k = 0; k < in.lats; k++) u[k] = 1 / (busy + row.syncs * in.lat[k]);
        }
    free_inner(in);
}

void dense_three(const Grid *g, const Row *rows, int64_t first, int64_t last, float *utps,
                 float *stps, int8_t *limit) {
    Inner in = make_inner(g);
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t r = first; r < last; r++)
        for (int64_t j = 0; j < in.bws; j++) {
            Row row = rows[r];
            int64_t at = ((r - first) * in.bws + j) * in.lats;
            float *u = utps + at, *s = stps + at;
            int8_t *l = limit + at;
            if (!row.feasible) {
                fill(u, NOTHING, in.lats);
                fill(s, NOTHING, in.lats);
                memset(l, CAPACITY, in.lats);
                continue;
            }
            float mem = row.mem * in.per_bw[j], busy = fmaxf(row.compute, mem);
            int8_t slower = row.compute > mem ? COMPUTE : MEMORY;
#pragma omp simd
            for (int64_t k = 0; k < in.lats; k++) {
                float sync = row.syncs * in.lat[k];
                u[k] = 1 / (busy + sync);
                s[k] = row.tokens * u[k];
                l[k] = sync > busy ? SYNC : slower;
            }
        }
    free_inner(in);
}

/* All outputs of the model: reals in its order without the codes, then the two codes. */
enum {
    T_COMPUTE, T_MEM, T_SYNC, T_STEP, UTPS, STPS, TPOT, WEIGHT_BYTES, KV_BYTES, BYTES_PER_CHIP,
    WEIGHT_TRAFFIC, KV_TRAFFIC, FLOPS, MAX_BATCH_SIZE, CAPACITY_UTILISATION, BANDWIDTH_UTILISATION,
    FLOPS_UTILISATION, POWER, ENERGY_PER_TOKEN, STPS_PER_WATT, NUM_REALS
};

void dense_all(const Grid *g, const Row *rows, int64_t first, int64_t last, float *const *out,
               int8_t *feasible, int8_t *limit) {
    Inner in = make_inner(g);
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t r = first; r < last; r++)
        for (int64_t j = 0; j < in.bws; j++) {
            Row row = rows[r];
            int64_t at = ((r - first) * in.bws + j) * in.lats, n = in.lats;
            float *o[NUM_REALS];
            for (int i = 0; i < NUM_REALS; i++) o[i] = out[i] + at;
            float stored = row.weight_bytes + row.kv_bytes, bw = 1 / in.per_bw[j];
            float power = row.power + row.power_by_bw * bw;
            fill(o[WEIGHT_BYTES], row.weight_bytes, n);
            fill(o[KV_BYTES], row.kv_bytes, n);
            fill(o[BYTES_PER_CHIP], stored / row.chips, n);
            fill(o[WEIGHT_TRAFFIC], row.weight_traffic, n);
            fill(o[KV_TRAFFIC], row.kv_traffic, n);
            fill(o[FLOPS], row.flops, n);
            fill(o[MAX_BATCH_SIZE], row.max_batch_size, n);
            fill(o[CAPACITY_UTILISATION], stored / row.capacity, n);
            fill(o[POWER], power, n);
            for (int64_t k = 0; k < n; k++) feasible[at + k] = row.feasible;
            if (!row.feasible) {
                for (int i = T_COMPUTE; i <= TPOT; i++) fill(o[i], NOTHING, n);
                fill(o[BANDWIDTH_UTILISATION], NOTHING, n);
                fill(o[FLOPS_UTILISATION], NOTHING, n);
                fill(o[ENERGY_PER_TOKEN], NOTHING, n);
                fill(o[STPS_PER_WATT], NOTHING, n);
                memset(limit + at, CAPACITY, n);
                continue;
            }
            float mem = row.mem * in.per_bw[j], busy = fmaxf(row.compute, mem);
            float traffic = row.weight_traffic + row.kv_traffic;
            float read = traffic / (row.chips * bw), done = row.flops / row.stage_flops;
            float per_token = power / row.tokens, per_watt = row.tokens / power;
            int8_t slower = row.compute > mem ? COMPUTE : MEMORY, *l = limit + at;
            float *u = o[UTPS], *step = o[T_STEP], *sync = o[T_SYNC];
            fill(o[T_COMPUTE], row.compute, n);
            fill(o[T_MEM], mem, n);
#pragma omp simd
            for (int64_t k = 0; k < n; k++) {
                float wait = row.syncs * in.lat[k];
                sync[k] = wait;
                step[k] = busy + wait;
                u[k] = 1 / (busy + wait);
                l[k] = wait > busy ? SYNC : slower;
            }
#pragma omp simd
            for (int64_t k = 0; k < n; k++) {
                o[TPOT][k] = step[k];
                o[STPS][k] = row.tokens * u[k];
                o[BANDWIDTH_UTILISATION][k] = read * u[k];
                o[FLOPS_UTILISATION][k] = done * u[k];
                o[ENERGY_PER_TOKEN][k] = per_token * step[k];
                o[STPS_PER_WATT][k] = per_watt * u[k];
            }
        }
    free_inner(in);
}

void dense_one_elasticity(const Grid *g, const Row *rows, int64_t first, int64_t last, float *utps,
                          float *by_mem_bw) {
    Inner in = make_inner(g);
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t r = first; r < last; r++)
        for (int64_t j = 0; j < in.bws; j++) {
            Row row = rows[r];
            int64_t at = ((r - first) * in.bws + j) * in.lats;
            float *u = utps + at, *e = by_mem_bw + at;
            if (!row.feasible) {
                fill(u, NOTHING, in.lats);
                fill(e, NOTHING, in.lats);
                continue;
            }
            float mem = row.mem * in.per_bw[j], busy = fmaxf(row.compute, mem);
            float share = mem > row.compute ? 1 : mem < row.compute ? 0 : 0.5f;
            float bw = share * mem;
#pragma omp simd
            for (int64_t k = 0; k < in.lats; k++) {
                u[k] = 1 / (busy + row.syncs * in.lat[k]);
                e[k] = bw * u[k];
            }
        }
    free_inner(in);
}

/* by[0..4]: mem_bw, peak_flops, sync_latency, batch_size, seq_len. */
void dense_five_elasticities(const Grid *g, const Row *rows, int64_t first, int64_t last,
                             float *utps, float *const *by) {
    Inner in = make_inner(g);
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t r = first; r < last; r++)
        for (int64_t j = 0; j < in.bws; j++) {
            Row row = rows[r];
            int64_t at = ((r - first) * in.bws + j) * in.lats;
            float *u = utps + at, *e0 = by[0] + at, *e1 = by[1] + at, *e2 = by[2] + at,
                  *e3 = by[3] + at, *e4 = by[4] + at;
            if (!row.feasible) {
                fill(u, NOTHING, in.lats);
                for (int i = 0; i < 5; i++) fill(by[i] + at, NOTHING, in.lats);
                continue;
            }
            float per_bw = in.per_bw[j], mem = row.mem * per_bw, busy = fmaxf(row.compute, mem);
            float share = mem > row.compute ? 1 : mem < row.compute ? 0 : 0.5f;
            float bw = share * mem, peak = (1 - share) * row.compute;
            float batch =
                -(share * row.mem_batch * per_bw + (1 - share) * row.compute_batch);
            float seq = -(share * row.mem_seq * per_bw + (1 - share) * row.compute_seq);
#pragma omp simd
            for (int64_t k = 0; k < in.lats; k++) {
                float sync = row.syncs * in.lat[k], speed = 1 / (busy + sync);
                u[k] = speed;
                e0[k] = bw * speed;
                e1[k] = peak * speed;
                e2[k] = -sync * speed;
                e3[k] = batch * speed;
                e4[k] = seq * speed;
            }
        }
    free_inner(in);
}

/* ---- reductions: a task is (llm, seq_len, mem_bw); it walks all tp_size and batch_size, so that
 * what is kept of it stays in the first-level cache ---- */

typedef struct {
    float value;
    int64_t place;
} Found;

#define TABLES 8 /* counts of neighbours go to different tables: no store waits for another */

typedef struct {
    int64_t bins, width;
    float scale, shift;
    uint32_t *count; /* TABLES x width, of one thread: up to 2^32 points in each */
} Bins;

static inline __attribute__((always_inline)) void speeds_of(Row row, float per_bw, const float *lat,
                                                            int64_t n, float *restrict speed) {
    float busy = fmaxf(row.compute, row.mem * per_bw), syncs = row.syncs;
#pragma omp simd
    for (int64_t k = 0; k < n; k++) speed[k] = 1 / (busy + syncs * lat[k]);
}

static inline __attribute__((always_inline)) void raise_best(const float *restrict speed,
                                                             float tokens, int32_t place, int64_t n,
                                                             float *restrict best,
                                                             int32_t *restrict where) {
#pragma omp simd
    for (int64_t k = 0; k < n; k++) {
        float value = tokens * speed[k];
        int better = value > best[k];
        best[k] = better ? value : best[k];
        where[k] = better ? place : where[k];
    }
}

static inline __attribute__((always_inline)) void count_bins(const float *restrict speed, int64_t n,
                                                             int32_t *restrict slot, Bins bins) {
    float top = bins.bins + 1;
#pragma omp simd
    for (int64_t k = 0; k < n; k++) {
        float at = floorf(logf(speed[k]) * bins.scale + bins.shift) + 1;
        slot[k] = (int32_t)fminf(fmaxf(at, 0), top);
    }
    int64_t k = 0;
    for (; k + TABLES <= n; k += TABLES)
        for (int t = 0; t < TABLES; t++) bins.count[t * bins.width + slot[k + t]]++;
    for (; k < n; k++) bins.count[slot[k]]++;
}

static inline float largest(const float *speed, int64_t n) {
    float most = 0;
#pragma omp simd reduction(max : most)
    for (int64_t k = 0; k < n; k++) most = fmaxf(most, speed[k]);
    return most;
}

/* Sorted, best first; equals by their place. */
static void insert(Found *top, int k, Found new) {
    int at = k;
    while (at > 0 && (new.value > top[at - 1].value ||
                      (new.value == top[at - 1].value && new.place < top[at - 1].place)))
        at--;
    if (at == k) return;
    memmove(top + at + 1, top + at, (k - 1 - at) * sizeof(Found));
    top[at] = new;
}

static inline __attribute__((always_inline)) void keep_top(const float *speed, int64_t n,
                                                           int64_t place, Found *top, int k) {
    if (largest(speed, n) < top[k - 1].value) return;
    for (int64_t i = 0; i < n; i++)
        if (speed[i] >= top[k - 1].value) insert(top, k, (Found){speed[i], place + i});
}

static inline __attribute__((always_inline)) void reduce(
    const Grid *g, const Row *rows, int with_best, int with_histogram, int with_top, float *best,
    int32_t *where, double low, double high, int64_t num_bins, int64_t *counts, int64_t k,
    float *top_value, int64_t *top_place) {
    Inner in = make_inner(g);
    int64_t runs = g->tps * g->batches, width = num_bins + 2;
    Found *top = malloc(k * sizeof(Found));
    for (int i = 0; i < k; i++) top[i] = (Found){0, INT64_MAX};
    if (with_histogram) memset(counts, 0, width * sizeof(int64_t));
#pragma omp parallel
    {
        float speed[in.lats];
        int32_t slot[in.lats];
        Found mine[k];
        for (int i = 0; i < k; i++) mine[i] = (Found){0, INT64_MAX};
        float scale = num_bins / log(high / low);
        Bins bins = {num_bins, width, scale, (float)(-log(low) * scale), NULL};
        if (with_histogram) bins.count = calloc(TABLES * width, sizeof(uint32_t));
#pragma omp for collapse(2) schedule(dynamic, 16)
        for (int64_t ms = 0; ms < g->llms * g->seqs; ms++)
            for (int64_t j = 0; j < in.bws; j++) {
                float *b = best + (ms * in.bws + j) * in.lats;
                int32_t *w = where + (ms * in.bws + j) * in.lats;
                if (with_best)
                    for (int64_t i = 0; i < in.lats; i++) b[i] = 0, w[i] = -1;
                for (int64_t run = 0; run < runs; run++) {
                    Row row = rows[ms * runs + run];
                    if (!row.feasible) continue;
                    speeds_of(row, in.per_bw[j], in.lat, in.lats, speed);
                    if (with_best) raise_best(speed, row.tokens, run, in.lats, b, w);
                    if (with_histogram) count_bins(speed, in.lats, slot, bins);
                    int64_t place = ((ms * runs + run) * in.bws + j) * in.lats;
                    if (with_top) keep_top(speed, in.lats, place, mine, k);
                }
            }
#pragma omp critical
        {
            if (with_top)
                for (int i = 0; i < k; i++) insert(top, k, mine[i]);
            if (with_histogram)
                for (int64_t i = 0; i < TABLES * width; i++) counts[i % width] += bins.count[i];
        }
        free(bins.count);
    }
    if (with_top)
        for (int i = 0; i < k; i++) top_value[i] = top[i].value, top_place[i] = top[i].place;
    free(top);
    free_inner(in);
}

void reduce_best(const Grid *g, const Row *rows, float *best, int32_t *where) {
    reduce(g, rows, 1, 0, 0, best, where, 1, 2, 1, NULL, 1, NULL, NULL);
}

void reduce_histogram(const Grid *g, const Row *rows, double low, double high, int64_t bins,
                      int64_t *counts) {
    reduce(g, rows, 0, 1, 0, NULL, NULL, low, high, bins, counts, 1, NULL, NULL);
}

void reduce_top(const Grid *g, const Row *rows, int64_t k, float *value, int64_t *place) {
    reduce(g, rows, 0, 0, 1, NULL, NULL, 1, 2, 1, NULL, k, value, place);
}

/* The three reductions of grids/billion.toml in one pass. */
void reduce_billion(const Grid *g, const Row *rows, float *best, int32_t *where, double low,
                    double high, int64_t bins, int64_t *counts, int64_t k, float *value,
                    int64_t *place) {
    reduce(g, rows, 1, 1, 1, best, where, low, high, bins, counts, k, value, place);
}

/* Largest utps of all points. */
float reduce_max(const Grid *g, const Row *rows) {
    Inner in = make_inner(g);
    int64_t num = g->llms * g->seqs * g->tps * g->batches;
    float most = 0;
#pragma omp parallel for collapse(2) schedule(static) reduction(max : most)
    for (int64_t r = 0; r < num; r++)
        for (int64_t j = 0; j < in.bws; j++) {
            if (!rows[r].feasible) continue;
            float busy = fmaxf(rows[r].compute, rows[r].mem * in.per_bw[j]);
            float syncs = rows[r].syncs, block = 0;
#pragma omp simd reduction(max : block)
            for (int64_t k = 0; k < in.lats; k++)
                block = fmaxf(block, 1 / (busy + syncs * in.lat[k]));
            most = fmaxf(most, block);
        }
    free_inner(in);
    return most;
}

/* Mean utps of all points: sums of blocks in float, of all in double. */
double reduce_mean(const Grid *g, const Row *rows) {
    Inner in = make_inner(g);
    int64_t num = g->llms * g->seqs * g->tps * g->batches, counted = 0;
    double total = 0;
#pragma omp parallel for collapse(2) schedule(static) reduction(+ : total, counted)
    for (int64_t r = 0; r < num; r++)
        for (int64_t j = 0; j < in.bws; j++) {
            if (!rows[r].feasible) continue;
            float busy = fmaxf(rows[r].compute, rows[r].mem * in.per_bw[j]);
            float syncs = rows[r].syncs, block = 0;
#pragma omp simd reduction(+ : block)
            for (int64_t k = 0; k < in.lats; k++) block += 1 / (busy + syncs * in.lat[k]);
            total += block;
            counted += in.lats;
        }
    free_inner(in);
    return total / counted;
}

/* Points by their limit. */
void reduce_count(const Grid *g, const Row *rows, int64_t *counts) {
    Inner in = make_inner(g);
    int64_t num = g->llms * g->seqs * g->tps * g->batches, by[4] = {0, 0, 0, 0};
#pragma omp parallel for collapse(2) schedule(static) reduction(+ : by[:4])
    for (int64_t r = 0; r < num; r++)
        for (int64_t j = 0; j < in.bws; j++) {
            if (!rows[r].feasible) {
                by[CAPACITY] += in.lats;
                continue;
            }
            float mem = rows[r].mem * in.per_bw[j], busy = fmaxf(rows[r].compute, mem);
            float syncs = rows[r].syncs;
            int32_t synced = 0;
#pragma omp simd reduction(+ : synced)
            for (int64_t k = 0; k < in.lats; k++) synced += syncs * in.lat[k] > busy;
            by[SYNC] += synced;
            by[rows[r].compute > mem ? COMPUTE : MEMORY] += in.lats - synced;
        }
    memcpy(counts, by, sizeof(by));
    free_inner(in);
}

/* Position of the first mem_bw at which utps reaches a target, -1 where none does. */
void reduce_crossing(const Grid *g, const Row *rows, double target, int32_t *where) {
    Inner in = make_inner(g);
    int64_t num = g->llms * g->seqs * g->tps * g->batches;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < num; r++) {
        Row row = rows[r];
        int32_t *first = where + r * in.lats;
        for (int64_t k = 0; k < in.lats; k++) first[k] = -1;
        if (!row.feasible) continue;
        for (int64_t j = 0; j < in.bws; j++) {
            float busy = fmaxf(row.compute, row.mem * in.per_bw[j]), wanted = target;
#pragma omp simd
            for (int64_t k = 0; k < in.lats; k++) {
                int now = 1 / (busy + row.syncs * in.lat[k]) >= wanted;
                first[k] = first[k] < 0 && now ? (int32_t)j : first[k];
            }
        }
    }
    free_inner(in);
}

/* ---- the frontier of utps and stps: points that no other equals in one and beats in the other.
 * Sorted by falling utps, hence rising stps; of equal points the first in the grid stays. A block
 * of latencies whose best utps and best stps together are beaten by a point that was found before
 * cannot add to it. ---- */

typedef struct {
    float utps, stps;
    int64_t place;
} Corner;

typedef struct {
    Corner *corner;
    int64_t size, room;
} Front;

/* First corner with less utps than a value: all before have at least as much. */
static inline int64_t after(const Front *f, float utps) {
    int64_t low = 0, high = f->size;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (f->corner[middle].utps >= utps)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline int beaten(const Front *f, int64_t at, float utps, float stps) {
    if (at == 0) return 0;
    Corner c = f->corner[at - 1];
    return c.stps > stps || (c.stps == stps && c.utps > utps);
}

static void add(Front *f, Corner new) {
    int64_t at = after(f, new.utps), first = at;
    if (beaten(f, at, new.utps, new.stps)) return;
    if (at > 0 && f->corner[at - 1].utps == new.utps && f->corner[at - 1].stps == new.stps) {
        if (new.place < f->corner[at - 1].place) f->corner[at - 1].place = new.place;
        return;
    }
    if (at > 0 && f->corner[at - 1].utps == new.utps) first--;
    while (at < f->size && f->corner[at].stps <= new.stps) at++;
    if (f->size - (at - first) + 1 > f->room) {
        f->room *= 2;
        f->corner = realloc(f->corner, f->room * sizeof(Corner));
    }
    memmove(f->corner + first + 1, f->corner + at, (f->size - at) * sizeof(Corner));
    f->corner[first] = new;
    f->size += 1 - (at - first);
}

/* Returns the number of points; writes as many of them as there is room for. */
int64_t reduce_frontier(const Grid *g, const Row *rows, int64_t room, float *utps, float *stps,
                        int64_t *place) {
    Inner in = make_inner(g);
    int64_t num = g->llms * g->seqs * g->tps * g->batches;
    Front all = {malloc(1024 * sizeof(Corner)), 0, 1024};
#pragma omp parallel
    {
        Front mine = {malloc(1024 * sizeof(Corner)), 0, 1024};
        float u[in.lats], s[in.lats];
#pragma omp for collapse(2) schedule(static)
        for (int64_t r = 0; r < num; r++)
            for (int64_t j = 0; j < in.bws; j++) {
                if (!rows[r].feasible) continue;
                float busy = fmaxf(rows[r].compute, rows[r].mem * in.per_bw[j]);
                float syncs = rows[r].syncs, tokens = rows[r].tokens, most_u = 0, most_s = 0;
#pragma omp simd reduction(max : most_u, most_s)
                for (int64_t k = 0; k < in.lats; k++) {
                    u[k] = 1 / (busy + syncs * in.lat[k]);
                    s[k] = tokens * u[k];
                    most_u = fmaxf(most_u, u[k]);
                    most_s = fmaxf(most_s, s[k]);
                }
                if (beaten(&mine, after(&mine, most_u), most_u, most_s)) continue;
                for (int64_t k = 0; k < in.lats; k++)
                    add(&mine, (Corner){u[k], s[k], (r * in.bws + j) * in.lats + k});
            }
#pragma omp critical
        for (int64_t i = 0; i < mine.size; i++) add(&all, mine.corner[i]);
        free(mine.corner);
    }
    for (int64_t i = 0; i < all.size && i < room; i++) {
        utps[i] = all.corner[i].utps;
        stps[i] = all.corner[i].stps;
        place[i] = all.corner[i].place;
    }
    int64_t size = all.size;
    free(all.corner);
    free_inner(in);
    return size;
}
