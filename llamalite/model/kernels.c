/* What a decoding step computes between its matrix products, each part in one pass.
 *
 * llamalite/model/kernels.py compiles this file for the machine at hand and calls it. A row's
 * result does not depend on the other rows, nor on the number of threads.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

typedef int64_t n;

/* Less work than this is not worth waking another thread for. */
enum { ALONE = 8192 };

/* 2 to a whole power from -126 to 127. */
static inline float power_of_two(int32_t power) {
    union { int32_t bits; float value; } made = {.bits = (power + 127) << 23};
    return made.value;
}

/* exp(x) for x up to 0, by Cephes' polynomial; 0 from -104 down. Compilers compute many at once as
 * long as there is no branch but the first line's. */
static inline float exponential(float x) {
    x = x < -126.0f ? -126.0f : x;
    int32_t power = (int32_t)(x * 1.44269504f + 256.5f) - 256, half = power >> 1;
    float r = x - (float)power * 0.693359375f + (float)power * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    return y * power_of_two(half) * power_of_two(power - half);
}

/* out = exp(x - largest), which may take x's own place; their sum, and the largest. */
static inline float exponentials(const float *x, float *out, n count, float *largest) {
    float most = x[0], sum = 0;
#pragma omp simd reduction(max : most)
    for (n i = 0; i < count; i++) most = x[i] > most ? x[i] : most;
#pragma omp simd reduction(+ : sum)
    for (n i = 0; i < count; i++) {
        out[i] = exponential(x[i] - most);
        sum += out[i];
    }
    *largest = most;
    return sum;
}

/* out[N][D] = x / sqrt(mean(x^2) + eps) * weight */
void norm(const float *x, const float *weight, float *out, n rows, n width, float eps) {
#pragma omp parallel for if (rows * width > ALONE)
    for (n row = 0; row < rows; row++) {
        const float *from = x + row * width;
        float *to = out + row * width, squares = 0;
#pragma omp simd reduction(+ : squares)
        for (n i = 0; i < width; i++) squares += from[i] * from[i];
        float scale = 1.0f / sqrtf(squares / (float)width + eps);
#pragma omp simd
        for (n i = 0; i < width; i++) to[i] = from[i] * scale * weight[i];
    }
}

/* out[N][F] = silu(x[N][:F]) * x[N][F:] */
void gate(const float *x, float *out, n rows, n inner) {
#pragma omp parallel for if (rows * inner > ALONE)
    for (n row = 0; row < rows; row++) {
        const float *from = x + row * 2 * inner;
        float *to = out + row * inner;
#pragma omp simd
        for (n i = 0; i < inner; i++) {
            float small = exponential(-fabsf(from[i])), negative = from[i] < 0;
            float above = negative * small + (1.0f - negative); /* e^x below 0, else 1 */
            to[i] = from[i] * above / (1.0f + small) * from[inner + i];
        }
    }
}

/* One head's E features turned by their position's angle, halves together. */
static inline void turn(const float *x, const float *cos, const float *sin, float *out, n E) {
    n half = E / 2;
#pragma omp simd
    for (n i = 0; i < half; i++) {
        out[i] = x[i] * cos[i] + x[i + half] * sin[i];
        out[i + half] = x[i + half] * cos[i + half] + x[i] * sin[i + half];
    }
}

/* One group of G query heads and the key head they share; slots start to end - 1 are read. */
static inline __attribute__((always_inline)) void group(
    const float *q, const float *keys, const float *values, float *scores, float *out,
    n G, n E, n start, n end) {
    n length = end - start;
    for (n t = 0; t < length; t++) {
        const float *key = keys + (start + t) * E;
        for (n g = 0; g < G; g++) {
            float sum = 0;
#pragma omp simd reduction(+ : sum)
            for (n i = 0; i < E; i++) sum += q[g * E + i] * key[i];
            scores[g * length + t] = sum;
        }
    }
    for (n g = 0; g < G; g++) {
        float *score = scores + g * length, largest;
        float sum = exponentials(score, score, length, &largest);
        for (n i = 0; i < E; i++) out[g * E + i] = 0;
        n t = 0;
        for (; t + 4 <= length; t += 4) { /* four at a time, so that out is read a fourth as often */
            const float *v = values + (start + t) * E;
#pragma omp simd
            for (n i = 0; i < E; i++)
                out[g * E + i] += score[t] * v[i] + score[t + 1] * v[E + i] +
                                  score[t + 2] * v[2 * E + i] + score[t + 3] * v[3 * E + i];
        }
        for (; t < length; t++)
            for (n i = 0; i < E; i++) out[g * E + i] += score[t] * values[(start + t) * E + i];
        for (n i = 0; i < E; i++) out[g * E + i] /= sum;
    }
}

/* One new token per sequence: its key and value are stored in slot end - 1, its queries answered.
 * qkv [B][H + 2 K][E], cache [B][K][slots][E], cos and sin [positions][E], starts [B] or null;
 * scratch [B][H][end]; out [B][H][E].
 */
void attend(const float *qkv, float *keys, float *values, const float *cos, const float *sin,
            const n *starts, float *scratch, float *out, n B, n H, n K, n E, n slots, n end) {
    n G = H / K;
#pragma omp parallel for collapse(2) if (B * H * E * end > ALONE)
    for (n b = 0; b < B; b++)
        for (n k = 0; k < K; k++) {
            n start = starts ? starts[b] : 0, position = end - 1 - start;
            const float *row = qkv + b * (H + 2 * K) * E;
            const float *c = cos + position * E, *s = sin + position * E;
            float *key = keys + (b * K + k) * slots * E, *value = values + (b * K + k) * slots * E;
            float q[G * E];
            for (n g = 0; g < G; g++) turn(row + (k * G + g) * E, c, s, q + g * E, E);
            turn(row + (H + k) * E, c, s, key + (end - 1) * E, E);
            for (n i = 0; i < E; i++) value[(end - 1) * E + i] = row[(H + K + k) * E + i];
            float *scores = scratch + (b * H + k * G) * end, *to = out + (b * H + k * G) * E;
            switch (E) {
            case 32: group(q, key, value, scores, to, G, 32, start, end); break;
            case 48: group(q, key, value, scores, to, G, 48, start, end); break;
            case 64: group(q, key, value, scores, to, G, 64, start, end); break;
            case 128: group(q, key, value, scores, to, G, 128, start, end); break;
            default: group(q, key, value, scores, to, G, E, start, end);
            }
        }
}

/* The first token whose cumulative weight is above share (below 1) of all of it. */
static n token_at(const float *weights, float share, n V) {
    enum { PART = 64 };
    n parts = (V + PART - 1) / PART, part = 0;
    float sums[parts], sum = 0, before = 0;
    for (n p = 0; p < parts; p++) {
        n until = p * PART + PART < V ? p * PART + PART : V;
        float here = 0;
#pragma omp simd reduction(+ : here)
        for (n i = p * PART; i < until; i++) here += weights[i];
        sums[p] = here;
        sum += here;
    }
    float target = share * sum;
    while (part < parts - 1 && before + sums[part] <= target) before += sums[part++];
    n last = part * PART;
    for (n i = last; i < V && i < (part + 1) * PART; i++) {
        if (weights[i] > 0) last = i; /* the next may be forbidden, and rounding lead there */
        before += weights[i];
        if (before > target) break;
    }
    return last;
}

static int falling(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Of positive numbers the larger has the larger bits: the first of them, as the number of a bin. */
enum { BINS = (0x3f800000 >> 20) + 1 };
static inline n bin_of(float weight) {
    union { float value; int32_t bits; } same = {.value = weight};
    return same.bits >> 20;
}

/* The smallest weight that top-p keeps; weights are from 0 to 1. They are put into bins, which are in
 * order, and only the bin where top_p is reached is sorted.
 */
static float least_kept(const float *weights, float *bin, float top_p, n V) {
    float sums[BINS] = {0}, sum = 0, before = 0, least = 0;
    for (n i = 0; i < V; i++) sums[bin_of(weights[i])] += weights[i];
    for (n i = 0; i < BINS; i++) sum += sums[i];
    n here = BINS - 1, members = 0;
    while (here > 0 && before + sums[here] < top_p * sum) before += sums[here--];
    for (n i = 0; i < V; i++)
        if (bin_of(weights[i]) == here) bin[members++] = weights[i];
    qsort(bin, (size_t)members, sizeof(float), falling);
    for (n i = 0; i < members && before < top_p * sum; i++) {
        least = bin[i];
        before += bin[i];
    }
    return least;
}

/* A token per row, drawn among the likeliest that together reach top_p by inverting the cumulative
 * distribution at uniform[b * stride], or the likeliest where the temperature is 0; and its
 * log-probability at temperature 1. logits [B][V], scratch [B][2 V]. Returns how many rows are
 * not finite numbers, or -inf; these get no token.
 */
n draw(const float *logits, const float *uniform, float *scratch, n *tokens, float *logprobs,
       n B, n V, n stride, float temperature, float top_p, float largest_uniform) {
    n broken = 0;
#pragma omp parallel for reduction(+ : broken) if (B * V > ALONE)
    for (n b = 0; b < B; b++) {
        const float *row = logits + b * V;
        float *weights = scratch + b * 2 * V, largest;
        float sum = exponentials(row, weights, V, &largest);
        n token = 0;
        if (!(sum >= 1)) { /* the largest alone is 1; what is no number is not compared */
            broken++;
            continue;
        }
        if (temperature == 0) {
            while (row[token] < largest) token++;
        } else {
            if (temperature != 1) {
#pragma omp simd
                for (n i = 0; i < V; i++)
                    weights[i] = exponential((row[i] - largest) / temperature);
            }
            if (top_p < 1) {
                float least = least_kept(weights, weights + V, top_p, V);
#pragma omp simd
                for (n i = 0; i < V; i++) weights[i] = weights[i] >= least ? weights[i] : 0;
            }
            float share = uniform[b * stride];
            token = token_at(weights, share < largest_uniform ? share : largest_uniform, V);
        }
        tokens[b] = token;
        logprobs[b] = row[token] - largest - logf(sum);
    }
    return broken;
}
