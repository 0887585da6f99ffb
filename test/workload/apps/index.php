<?php
// The shop over FastCGI: nothing but the compiled code lives longer than a
// request; what grows is what the allocator keeps.
declare(strict_types=1);

function catalogue(): array
{
    static $catalogue = null;
    return $catalogue ??= array_map(fn (int $i) => [
        'id' => $i, 'name' => "product $i", 'price' => $i * 7 % 9973, 'tags' => ['tag ' . $i % 37, 'tag ' . $i % 101],
        'text' => str_repeat(md5((string) $i), 18),
    ], range(0, 5999));
}

function page(int $size, int $key): string
{
    $out = '<html><body><h1>' . $key . ' at ' . date('r') . '</h1><table>';
    for ($i = 0; $i < $size; $i++) {
        $p = catalogue()[($key + $i * 31) % 6000];
        $out .= sprintf("<tr><td>%d</td><td>%s</td><td>%.2f</td><td>%s</td></tr>\n", $p['id'], htmlspecialchars($p['name']), $p['price'] / 100, htmlspecialchars(implode(', ', $p['tags'])));
    }
    return $out . '</table></body></html>';
}

function api(int $size, int $key): string
{
    $products = [];
    for ($i = 0; $i < $size; $i++) {
        $products[] = catalogue()[($key + $i) % 6000];
    }
    $parsed = json_decode(json_encode($products), true);
    return json_encode(['total' => array_sum(array_column($parsed, 'price')), 'products' => $parsed]);
}

function save(int $size, int $key): string
{
    return (string) strlen(serialize(array_slice(catalogue(), 0, $size)) . random_bytes(200 + $key % 800));
}

// About size MiB for a moment.
function report(int $size, int $key): string
{
    $rows = [];
    for ($i = 0; $i < $size * 5000; $i++) {
        $rows[] = [$key + $i, "row $i of $size", $i * 0.37];
    }
    return implode("\n", array_map(fn (array $row) => implode(',', $row), array_slice($rows, 0, 2000)));
}

header('X-Pid: ' . getmypid());
// The wait is for a database, in milliseconds.
usleep((int) ((float) $_GET['wait'] * 1000));
$size = (int) $_GET['size'];
$key = (int) $_GET['key'];
echo match ($_GET['kind']) {
    'ping' => '',
    'page' => page($size, $key),
    'api' => api($size, $key),
    'save' => save($size, $key),
    'report' => report($size, $key),
};
